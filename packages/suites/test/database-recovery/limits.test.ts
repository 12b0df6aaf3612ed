import { expect } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { percentile } from '../../src/database/callers.ts';
import { openPostgresFixture } from '../../src/database/postgres-fixture.ts';
import { scenario } from '../../src/database/scenario.ts';

const CALLS = 600;
const ROLE_LIMIT = 8;

scenario(
  {
    promise: 'a Postgres that accepts fewer connections than the pool size serves every call',
    fault: `53300: role limit ${ROLE_LIMIT}, pool of 20, ${CALLS} calls`,
    inContainers: true,
  },
  openPostgresFixture,
  async (fixture) => {
    await fixture.ask(`create role crowded login connection limit ${ROLE_LIMIT}`);
    const url = new URL(fixture.primary.url);
    url.username = 'crowded';
    const database = fixture.database({ hosts: url.href, max: 20, acquireTimeoutMs: 30_000 });
    const calls = Array.from({ length: CALLS }, () =>
      database.query('select pg_sleep(0.005)', [], { timeoutMs: 30_000 }),
    );
    const ended = await Promise.allSettled(calls);
    const failed = ended.filter(({ status }) => status === 'rejected');
    expect(failed).toEqual([]);
    const [{ cap } = { cap: 0 }] = database.getStats().hosts;
    return { accepted: CALLS, delivered: CALLS - failed.length, note: `learned cap ${cap} of 20` };
  },
);

const CROWD = 200;
const LINKS = 20;
const HELD_SECONDS = 0.02;

scenario(
  {
    promise: 'ten times more callers than connections are served in the order of their calls',
    fault: `${CROWD} callers on ${LINKS} connections, 20 ms each`,
  },
  openPostgresFixture,
  async (fixture) => {
    const database = fixture.database({ max: LINKS, queryTimeoutMs: 30_000 });
    // The connections are opened first, so that the measurement covers only waiting.
    await crowd(LINKS, () => database.query('select pg_sleep($1)', [HELD_SECONDS]));
    const order: number[] = [];
    const beganMs = systemClock.now();
    const waits = await crowd(CROWD, async (caller) => {
      await database.query('select pg_sleep($1)', [HELD_SECONDS]);
      order.push(caller);
      return systemClock.now() - beganMs;
    });
    const farAhead = order.filter((caller, at) => caller - at > LINKS);
    expect(farAhead).toEqual([]);
    return {
      accepted: CROWD,
      delivered: order.length,
      note: `done after ${Math.round(percentile(waits, 0.5))} ms (p50) and ${Math.round(percentile(waits, 0.99))} ms (p99); none overtaken`,
    };
  },
);

scenario(
  {
    promise:
      'the error of a caller that gets no connection in time names the holders, and no caller is left waiting',
    fault: `${CROWD} callers with 100 ms to acquire, all connections held`,
  },
  openPostgresFixture,
  async (fixture) => {
    const database = fixture.database({ max: 2, acquireTimeoutMs: 100 });
    const held = [await database.acquire(), await database.acquire()];
    const errors = await crowd(CROWD, () =>
      database.query('select 1').then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    for (const lease of held) lease.release();
    expect(errors).toEqual(
      Array.from({ length: CROWD }, () =>
        expect.objectContaining({
          code: 'DATABASE_ACQUIRE_TIMEOUT',
          outcome: 'not-applied',
          pool: expect.objectContaining({ busy: 2, idle: 0 }),
        }),
      ),
    );
    expect((await database.query('select 1')).rowCount).toBe(1);
    expect(database.getStats().hosts[0]).toMatchObject({ waiting: 0, acquireTimeouts: CROWD });
    return { accepted: CROWD, delivered: errors.length };
  },
);

scenario(
  {
    promise:
      'a connection that is not released is reported with its place of acquisition, and stays usable',
    fault: 'a lease kept for longer than leakReportMs',
  },
  openPostgresFixture,
  async (fixture) => {
    const database = fixture.database({ max: 2, leakReportMs: 50 });
    const leak = nextEvent(database, 'leak', { signal: AbortSignal.timeout(20_000) });
    const lease = await database.acquire();
    await lease.query('select 41 + 1');
    const report = await leak;
    expect(report.acquiredAt).toContain('limits.test.ts');
    expect(report.lastSql).toBe('select 41 + 1');
    expect((await database.query('select 1')).rowCount).toBe(1);
    const returned = nextEvent(database, 'leak-returned', { signal: AbortSignal.timeout(20_000) });
    lease.release();
    await returned;
    return { accepted: 1, delivered: 1, detectedAfterMs: report.ageMs };
  },
);

function crowd<T>(callers: number, call: (caller: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
}
