import { describe, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type HealthCheck,
  type HealthComponent,
  type HealthFleet,
  checkOf,
  createHealth,
} from '@holdfast/operations';

const INTERVAL_MS = 10_000;
const TIMEOUT_MS = 2_000;
const works: HealthCheck = () => {};
const fails: HealthCheck = () => {
  throw new Error('connect ECONNREFUSED postgres://app:geheim@db:5432/shop');
};
const hangs: HealthCheck = () => new Promise<void>(() => {});

function healthOf(
  components: Record<string, HealthComponent>,
  more: { details?: 'none' | 'names' | 'full'; fleet?: HealthFleet; startsItself?: boolean } = {},
) {
  const clock = createFakeClock();
  const health = createHealth({ components, jitter: 0, clock, ...more });
  return { clock, health };
}

describe('readiness', () => {
  test('a process is ready once every critical component has worked', async () => {
    const database = Promise.withResolvers<void>();
    const { clock, health } = healthOf({
      database: { group: 'databases', check: () => database.promise },
      mail: { group: 'external', critical: false, check: fails },
    });
    await clock.advance(1);
    expect(health.answer('startup').statusCode).toBe(503);
    expect(health.isReady).toBe(false);
    const ready = nextEvent(health, 'readiness-changed');
    database.resolve();
    expect(await ready).toEqual({ isReady: true });
    expect(health.answer('startup').statusCode).toBe(200);
    expect(health.answer('ready')).toMatchObject({ statusCode: 200 });
    expect(health.report().status).toBe('warn');
    health.close();
  });

  test('a critical component makes unready after two failures in a row, and ready with the first success', async () => {
    let check = works;
    const { clock, health } = healthOf({
      database: { group: 'databases', check: (signal) => check(signal) },
    });
    await clock.advance(1);
    expect(health.isReady).toBe(true);
    check = fails;
    await clock.advance(INTERVAL_MS);
    expect([health.isReady, health.report().status]).toEqual([true, 'warn']);
    await clock.advance(INTERVAL_MS);
    expect([health.isReady, health.report().status]).toEqual([false, 'fail']);
    expect(health.answer('live').statusCode).toBe(200);
    check = works;
    await clock.advance(INTERVAL_MS);
    expect(health.isReady).toBe(true);
    health.close();
  });

  test('a component that is not critical degrades and never makes unready', async () => {
    const { clock, health } = healthOf({
      database: { group: 'databases', check: works },
      cache: { group: 'caches', critical: false, check: fails },
    });
    await clock.advance(INTERVAL_MS * 5);
    expect(health.report().status).toBe('warn');
    expect(health.answer('ready').statusCode).toBe(200);
    health.close();
  });

  test('what fails for most of the fleet makes no instance unready, and is told as such', async () => {
    let share: number | undefined = 0.2;
    const published: string[] = [];
    const fleet: HealthFleet = {
      failingShare: () => share,
      publish: (component, status) => void published.push(`${component} ${status}`),
    };
    let check = works;
    const components = {
      database: { group: 'databases', check: (signal: AbortSignal) => check(signal) },
    } as const;
    const { clock, health } = healthOf(components, { fleet });
    await clock.advance(1);
    check = fails;
    await clock.advance(INTERVAL_MS * 2);
    expect(health.isReady).toBe(false);
    share = 0.5;
    expect(health.isReady).toBe(true);
    expect(JSON.parse(health.answer('ready').body)).toMatchObject({
      status: 'warn',
      checks: { database: [{ status: 'fail', fleetWide: true }] },
    });
    share = undefined;
    expect(health.isReady).toBe(false);
    expect(published).toEqual(['database pass', 'database warn', 'database fail']);
    health.close();
  });

  test('a drain turns readiness off at once and leaves liveness on', async () => {
    const { clock, health } = healthOf({});
    await clock.advance(1);
    expect(health.isReady).toBe(true);
    health.beginDrain();
    expect(health.answer('ready').statusCode).toBe(503);
    expect(health.answer('live').statusCode).toBe(200);
    health.close();
  });

  test('a process that tells itself when it has started is not ready before', async () => {
    const { clock, health } = healthOf({}, { startsItself: false });
    await clock.advance(INTERVAL_MS);
    expect(health.isReady).toBe(false);
    health.markStarted();
    expect(health.isReady).toBe(true);
    health.close();
  });
});

describe('checks', () => {
  test('a thousand parallel probes and reports start one check per interval', async () => {
    let calls = 0;
    const check: HealthCheck = () => void (calls += 1);
    const { clock, health } = healthOf({ database: { group: 'databases', check } });
    await clock.advance(1);
    const probes = Array.from({ length: 1_000 }, () => health.comprehensiveHealthCheck());
    for (let count = 0; count < 1_000; count += 1) health.answer('ready');
    await Promise.all(probes);
    expect(calls).toBe(1);
    await clock.advance(INTERVAL_MS);
    expect(calls).toBe(2);
    health.close();
  });

  test('a hung check is a failure at its deadline, is aborted, and delays no answer', async () => {
    let signal: AbortSignal | undefined;
    const check: HealthCheck = (given) => {
      signal = given;
      return hangs(given);
    };
    const { clock, health } = healthOf({ database: { group: 'databases', check } });
    const report = health.comprehensiveHealthCheck();
    await clock.advance(TIMEOUT_MS);
    expect((await report).components[0]).toMatchObject({
      status: 'fail',
      reason: 'the health check of database has not ended in 2000 ms',
    });
    expect(signal?.aborted).toBe(true);
    expect(health.getStats()).toMatchObject({ timeouts: 1, hanging: 1 });
    health.close();
  });

  test('calls that hang for ever are at most three, and one that ends makes room', async () => {
    const calls: (() => void)[] = [];
    const check: HealthCheck = () => new Promise<void>((resolve) => void calls.push(resolve));
    const { clock, health } = healthOf({ database: { group: 'databases', check } });
    await clock.advance(INTERVAL_MS * 10);
    expect(calls).toHaveLength(3);
    calls[0]?.();
    await clock.advance(INTERVAL_MS);
    expect(calls).toHaveLength(4);
    health.close();
  });

  test('the groups are checked by the names of the guide', async () => {
    const component = (group: HealthComponent['group'], check = works) => ({ group, check });
    const { clock, health } = healthOf({
      auth: component('services'),
      users: component('services', fails),
      postgres: component('databases'),
      redis: component('caches'),
      mail: component('queues'),
      stripe: component('external', fails),
    });
    await clock.advance(1);
    expect((await health.checkServices()).status).toBe('fail');
    expect((await health.checkDatabases()).status).toBe('pass');
    expect((await health.checkCaches()).components.map(({ name }) => name)).toEqual(['redis']);
    expect((await health.checkQueues()).status).toBe('pass');
    expect((await health.checkExternalDependencies()).status).toBe('fail');
    expect((await health.comprehensiveHealthCheck()).components).toHaveLength(6);
    health.close();
  });

  test('the health of queue, storage, database, stack and cache is read by its shape', async () => {
    const signal = new AbortController().signal;
    expect(await checkOf({ health: () => ({ level: 'healthy' }) })(signal)).toEqual({
      status: 'pass',
    });
    expect(await checkOf({ health: async () => ({ level: 'critical' }) })(signal)).toMatchObject({
      status: 'fail',
    });
    expect(await checkOf({ getHealthState: () => ({ level: 'degraded' }) })(signal)).toMatchObject({
      status: 'warn',
    });
    const cache = { getStats: () => ({ redis: { isConnected: false } }) };
    expect(await checkOf(cache)(signal)).toMatchObject({ status: 'warn' });
    // @ts-expect-error: it has none of the methods.
    expect(() => checkOf({})).toThrow('getHealthState');
  });

  test('after close nothing is checked, no timer is left, and readiness is off', async () => {
    let calls = 0;
    const { clock, health } = healthOf({
      database: { group: 'databases', check: () => void (calls += 1) },
    });
    await clock.advance(1);
    health.close();
    health.close();
    await clock.advance(INTERVAL_MS * 3);
    expect([calls, health.isReady, clock.pendingTimers]).toEqual([1, false, 0]);
  });
});

describe('what probes tell', () => {
  test('no reason by default, and never a password', async () => {
    for (const details of ['none', 'names', 'full'] as const) {
      const components = { database: { group: 'databases', check: fails } } as const;
      const { clock, health } = healthOf(components, { details });
      await clock.advance(1);
      const { body, headers } = health.answer('health');
      expect(headers['content-type']).toContain('application/health+json');
      expect(body).not.toContain('geheim');
      expect(body.includes('ECONNREFUSED')).toBe(details === 'full');
      expect(body.includes('database')).toBe(details !== 'none');
      health.close();
    }
  });

  test('an unknown option, group or range is refused by its name', () => {
    const check = works;
    const wrong = () =>
      createHealth({
        // @ts-expect-error: there is no such group.
        components: { a: { group: 'disks', check } },
      });
    expect(wrong).toThrow('components.a.group');
    expect(() => createHealth({ components: {}, intervalMs: 1 })).toThrow('intervalMs');
    // @ts-expect-error: components have names.
    expect(() => createHealth({ components: [] })).toThrow('components');
  });
});
