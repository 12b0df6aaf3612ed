import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { type LoadResult, expectOk, generateLoad } from '@holdfast/faults';
import { type Clock, sleep, systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { closeAfterTest } from '../close-after-test.ts';
import { portOf } from '../servers.ts';

/** Occupies the event loop. */
function block(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

/** A response that takes so long. */
const after = (ms: number): Promise<void> =>
  new Promise((resolve) => void systemClock.schedule(ms, resolve));

const total = ({ succeeded, failed, dropped, unfinished }: LoadResult): number =>
  succeeded + failed + dropped + unfinished;

test.each([
  ['open, behind its rate', { ratePerSecond: 50_000 }, () => block(0.2)],
  ['open, above what can be sent', { ratePerSecond: 1_000_000 }, () => {}],
  ['open, full', { ratePerSecond: 100_000, maxInFlight: 10 }, () => new Promise(() => {})],
  ['open, below 1 a second', { ratePerSecond: 0.01 }, () => {}],
  ['closed, without input or output', { users: 3 }, () => {}],
  ['closed, busy', { users: 3 }, () => block(0.2)],
  ['closed, many users', { users: 100_000 }, () => block(0.01)],
  ['a ramp from 0', { stages: [{ durationMs: 3_000, ratePerSecond: 100_000 }] }, () => {}],
])('an abort is heard at once: %s', async (_, model, work) => {
  const caller = new AbortController();
  // From when it was due: a load that never yields would delay the timer as well.
  const dueMs = performance.now() + 100;
  const used = process.cpuUsage();
  const timer = systemClock.schedule(100, () => caller.abort(new Error('enough')));
  const load = generateLoad(work, {
    ...('stages' in model ? {} : { durationMs: 3_000 }),
    drainTimeoutMs: 1_000,
    ...model,
    signal: caller.signal,
  });
  await expect(load).rejects.toThrow('enough');
  timer.cancel();
  const lateMs = performance.now() - dueMs;
  const { user, system } = process.cpuUsage(used);
  // On a busy machine it is late although it has hardly run: what counts then is the processor's time.
  expect(Math.min(lateMs, (user + system) / 1_000)).toBeLessThan(1_000);
});

test('an abort before the start sends nothing', async () => {
  let sent = 0;
  const signal = AbortSignal.abort(new Error('before'));
  for (const model of [{ ratePerSecond: 1_000 }, { users: 2 }]) {
    const load = generateLoad(() => (sent += 1), { durationMs: 1_000, ...model, signal });
    await expect(load).rejects.toThrow('before');
  }
  expect(sent).toBe(0);
});

test('20 000 requests a second are sent while responses and timers get their turns', async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const result = await generateLoad(() => new Promise(setImmediate), {
    durationMs: 1_000,
    ratePerSecond: 20_000,
    arrivals: 'even',
  });
  clearInterval(timer);
  expect(result.offered).toBe(20_000);
  expect(result).toMatchObject({ dropped: 0, failed: 0, succeeded: 20_000, unfinished: 0 });
  expect(result.latency.minMs).toBeGreaterThanOrEqual(0);
  expect(turns).toBeGreaterThan(20);
});

test('an event loop that was blocked drops nothing by itself, and the delay is told', async () => {
  let calls = 0;
  const work = async (): Promise<void> => {
    calls += 1;
    if (calls === 500) block(300);
    await after(1);
  };
  const result = await generateLoad(work, {
    durationMs: 600,
    ratePerSecond: 5_000,
    arrivals: 'even',
    maxInFlight: 200,
  });
  expect(result).toMatchObject({ offered: 3_000, dropped: 0, succeeded: 3_000 });
  expect(result.latency.p90Ms).toBeGreaterThan(200);
  expect(result.sendDelay.p90Ms).toBeGreaterThan(200);
  expect(result.bottlenecks[0]).toMatchObject({ kind: 'generator' });
});

test('what could not be sent is counted with its wait, and the load ends in time', async () => {
  const result = await generateLoad(() => block(5), {
    durationMs: 300,
    ratePerSecond: 2_000,
    arrivals: 'even',
    drainTimeoutMs: 100,
  });
  expect(result.offered).toBe(600);
  expect(total(result)).toBe(600);
  expect(result.dropped).toBeGreaterThan(300);
  expect(result.latency).toMatchObject({ count: 600 });
  expect(result.latency.maxMs).toBeGreaterThan(200);
  expect(result.elapsedMs).toBeLessThan(3_000);
  expect(result.bottlenecks.map(({ kind }) => kind)).toEqual(
    expect.not.arrayContaining(['concurrency']),
  );
});

test.each([
  ['never settles', () => new Promise(() => {})],
  ['hears its signal', (signal: AbortSignal, clock: Clock) => sleep(clock, 3_600_000, signal)],
])('a dead service has the latency of its wait: a call that %s', async (_, work) => {
  for (const model of [{ ratePerSecond: 100, arrivals: 'even' as const }, { users: 5 }]) {
    const clock = createFakeClock();
    const call = (signal: AbortSignal): unknown => work(signal, clock);
    const load = generateLoad(call, { durationMs: 2_000, drainTimeoutMs: 1_000, clock, ...model });
    const result = await clock.settle(load);
    expect(result.succeeded).toBe(0);
    expect(result.unfinished).toBe(result.offered);
    expect(result.latency.count).toBe(result.offered);
    expect(result.latency.minMs).toBeGreaterThanOrEqual(1_000);
    expect(result.latency.p50Ms).toBeGreaterThanOrEqual(2_000 * 0.98);
    expect(result).toMatchObject({ errorRate: 1, succeededPerSecond: 0 });
    expect(result.bottlenecks.map(({ kind }) => kind)).toContain('unanswered');
    expect(clock.pendingTimers).toBe(0);
  }
});

test('arrivals that were dropped wait to the end, so that a limit of requests flatters nothing', async () => {
  const clock = createFakeClock();
  const load = generateLoad(() => new Promise(() => {}), {
    durationMs: 10_000,
    ratePerSecond: 100,
    arrivals: 'even',
    maxInFlight: 1,
    drainTimeoutMs: 0,
    clock,
  });
  const { latency, dropped, unfinished, bottlenecks } = await clock.settle(load);
  expect([dropped, unfinished, latency.count]).toEqual([999, 1, 1_000]);
  expect(latency.p50Ms).toBeGreaterThan(4_900);
  expect(bottlenecks.map(({ kind }) => kind)).toEqual(['concurrency', 'stall', 'unanswered']);
});

test('the throughput is that of the window, whatever the drain took', async () => {
  const clock = createFakeClock();
  const late = async (signal: AbortSignal, requestNumber: number): Promise<void> =>
    sleep(clock, requestNumber > 50 ? 9_000 : 10, signal);
  const load = generateLoad(late, {
    durationMs: 1_000,
    ratePerSecond: 100,
    arrivals: 'even',
    clock,
  });
  const result = await clock.settle(load);
  expect(result).toMatchObject({ succeeded: 100, succeededPerSecond: 50, duration: 1_000 });
  expect(result.elapsedMs).toBeGreaterThan(9_000);
});

test('calls that throw at once, reject with nothing or cannot be read are failures', async () => {
  const throwing = new Proxy(
    {},
    {
      get() {
        throw new Error('no property');
      },
    },
  );
  const outcomes: (() => unknown)[] = [
    () => {
      throw Object.assign(new Error('at once'), { code: 'ECONNREFUSED' });
    },
    () => Promise.reject(null),
    () => Promise.reject('text'),
    () => Promise.reject(throwing),
  ];
  const clock = createFakeClock();
  const result = await clock.settle(
    generateLoad((_, requestNumber) => outcomes[requestNumber % outcomes.length]?.(), {
      durationMs: 1_000,
      ratePerSecond: 100,
      arrivals: 'even',
      clock,
    }),
  );
  expect(result).toMatchObject({ offered: 100, failed: 100, errorRate: 1 });
  expect(result.errors).toEqual({ network_error: 25, unknown: 75 });
});

test('a step of the wall clock changes nothing', async () => {
  const run = async (stepMs: number): Promise<LoadResult> => {
    const clock = createFakeClock();
    const work = async (_: AbortSignal, requestNumber: number): Promise<void> => {
      if (requestNumber === 20) clock.stepWallClock(stepMs);
      await sleep(clock, 5);
    };
    return clock.settle(generateLoad(work, { durationMs: 1_000, ratePerSecond: 100, clock }));
  };
  expect(await run(-3_600_000)).toEqual(await run(0));
});

async function respondWith(status: number): Promise<Server> {
  const server = createServer((_, response) => response.writeHead(status).end('body'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeAfterTest({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return server;
}

test.each([
  [200, undefined],
  [204, undefined],
  [404, 'client_error'],
  [429, 'rate_limited'],
  [500, 'server_error'],
  [501, 'client_error'],
  [503, 'service_unavailable'],
])('the recipe counts status %s as %s', async (status, kind) => {
  const url = `http://127.0.0.1:${portOf(await respondWith(status))}/`;
  const result = await generateLoad(
    async (signal) => {
      await expectOk(await fetch(url, { signal })).arrayBuffer();
    },
    { durationMs: 100, ratePerSecond: 200, arrivals: 'even' },
  );
  expect(result.offered).toBe(20);
  expect(result.errors).toEqual(kind === undefined ? {} : { [kind]: 20 });
  expect(result.succeeded).toBe(kind === undefined ? 20 : 0);
});

test('expectOk takes the responses of node:http and axios, and refuses what is none', () => {
  expect(expectOk({ statusCode: 201 })).toEqual({ statusCode: 201 });
  const refusal = { code: 'FAULTS_RESPONSE_STATUS', status: 503 };
  expect(() => expectOk({ statusCode: 503 })).toThrow(expect.objectContaining(refusal));
  expect(() => expectOk({ status: 0 })).toThrow(expect.objectContaining({ status: 0 }));
  const none: any = {};
  expect(() => expectOk(none)).toThrow(expect.objectContaining({ field: 'response' }));
});

test('the closed model costs no more CPU time a request than a plain loop, within 5 %', async () => {
  const script = join(import.meta.dirname, 'closed-model-cost.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const { cpu, throughput } = JSON.parse(stdout);
  expect(cpu).toBeLessThan(1.05);
  expect(throughput).toBeGreaterThan(0.9);
}, 60_000);
