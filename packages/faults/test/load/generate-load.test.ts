import { expect, test } from '@jest/globals';
import { generateLoad } from '@holdfast/faults';
import { sleep } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

test('the open model offers its rate, however slow the responses are', async () => {
  const clock = createFakeClock();
  const result = await clock.settle(
    generateLoad((signal) => sleep(clock, 500, signal), {
      durationMs: 2_000,
      ratePerSecond: 100,
      arrivals: 'even',
      clock,
    }),
  );
  expect(result).toMatchObject({ offered: 200, succeeded: 200, failed: 0, dropped: 0 });
  expect(result.latency).toMatchObject({ count: 200, minMs: 500, maxMs: 500 });
  expect(result.timeline.map(({ atMs }) => atMs)).toEqual([0, 1_000, 2_000]);
  expect(clock.pendingTimers).toBe(0);
});

test('a stall counts for every request that would have arrived meanwhile', async () => {
  const clock = createFakeClock();
  let freeAtMs = 0;
  // A server with one worker that stalls for a second, once; each request takes 1 ms otherwise.
  const work = async (): Promise<void> => {
    const startMs = Math.max(clock.now(), freeAtMs);
    const isStall = startMs >= 500 && freeAtMs < 500;
    freeAtMs = startMs + (isStall ? 1_000 : 1);
    await sleep(clock, freeAtMs - clock.now());
  };
  const options = { durationMs: 3_000, clock };
  const open = await clock.settle(
    generateLoad(work, { ...options, ratePerSecond: 100, arrivals: 'even' }),
  );
  expect(open.latency.p90Ms).toBeGreaterThan(500);
});

test('each user of the closed model has one request in flight', async () => {
  const clock = createFakeClock();
  let most = 0;
  let now = 0;
  const result = await clock.settle(
    generateLoad(
      async () => {
        most = Math.max(most, (now += 1));
        await sleep(clock, 90);
        now -= 1;
      },
      { durationMs: 1_000, users: 3, thinkTimeMs: 10, clock },
    ),
  );
  expect(most).toBe(3);
  expect(result).toMatchObject({ offered: 30, succeeded: 30 });
});

test('errors are counted by kind, and dropped and unfinished requests are counted too', async () => {
  const clock = createFakeClock();
  const result = await clock.settle(
    generateLoad(
      async (signal, requestNumber) => {
        if (requestNumber <= 10) throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
        await sleep(clock, 3_600_000, signal);
      },
      {
        durationMs: 1_000,
        ratePerSecond: 50,
        arrivals: 'even',
        maxInFlight: 5,
        drainTimeoutMs: 100,
        clock,
      },
    ),
  );
  expect(result).toMatchObject({
    offered: 50,
    succeeded: 0,
    failed: 10,
    dropped: 35,
    unfinished: 5,
    errors: { network_error: 10 },
    elapsedMs: 1_100,
  });
  expect(clock.pendingTimers).toBe(0);
});

test.each([{ ratePerSecond: 10 }, { users: 2 }])(
  'an abort ends the load of %p at once',
  async (model) => {
    const clock = createFakeClock();
    const caller = new AbortController();
    const load = generateLoad((signal) => sleep(clock, 3_600_000, signal), {
      durationMs: 10_000,
      ...model,
      signal: caller.signal,
      clock,
    });
    const outcome = load.catch((reason: unknown) => reason);
    await clock.advance(500);
    caller.abort(new Error('enough'));
    expect(await outcome).toEqual(new Error('enough'));
    expect(clock.pendingTimers).toBe(0);
  },
);

test('poisson arrivals have the rate on average, and equal seeds give equal arrivals', async () => {
  const offered = async (seed: number): Promise<number> => {
    const clock = createFakeClock();
    const options = { durationMs: 10_000, ratePerSecond: 100, seed, clock };
    return (await clock.settle(generateLoad(() => {}, options))).offered;
  };
  const first = await offered(1);
  expect(first).toBeGreaterThan(850);
  expect(first).toBeLessThan(1_150);
  expect(await offered(1)).toBe(first);
});

test('every arrival is counted once, and the timeline shows a stall', async () => {
  const clock = createFakeClock();
  const result = await clock.settle(
    generateLoad(
      async (signal, requestNumber) => {
        if (requestNumber % 10 === 0) throw Object.assign(new Error('no'), { code: 'ECONNRESET' });
        if (requestNumber % 17 === 0) await sleep(clock, 3_600_000, signal);
        const now = clock.now();
        await sleep(clock, now >= 1_000 && now < 4_000 ? 4_000 - now : 1, signal);
      },
      {
        durationMs: 6_000,
        ratePerSecond: 40,
        maxInFlight: 50,
        windowMs: 500,
        drainTimeoutMs: 100,
        seed: 3,
        clock,
      },
    ),
  );
  const { offered, succeeded, failed, dropped, unfinished, timeline, latency, serviceTime } =
    result;
  expect(offered).toBe(succeeded + failed + dropped + unfinished);
  expect([dropped, unfinished, failed].every((count) => count > 0)).toBe(true);
  expect(result.errors).toEqual({ network_error: failed });
  expect([latency.count, serviceTime.count]).toEqual([offered, offered - dropped]);
  expect(timeline.map(({ atMs }) => atMs)).toEqual(timeline.map((_, index) => index * 500));
  const answered = (of: (typeof timeline)[number]): number => of.succeeded + of.failed;
  expect(timeline.reduce((sum, each) => sum + answered(each), 0)).toBe(succeeded + failed);
  expect(timeline.slice(3, 8).every(({ succeeded: count }) => count === 0)).toBe(true);
});

test('a closed load counts a stall only for its users, an open one for every arrival', async () => {
  const stalls = (clock: ReturnType<typeof createFakeClock>) => async (): Promise<void> => {
    const now = clock.now();
    await sleep(clock, now >= 500 && now < 1_500 ? 1_500 - now : 1);
  };
  const p90Of = async (model: object): Promise<number> => {
    const clock = createFakeClock();
    const load = generateLoad(stalls(clock), { durationMs: 3_000, clock, ...model });
    return (await clock.settle(load)).latency.p90Ms;
  };
  expect(await p90Of({ users: 1 })).toBeLessThan(10);
  expect(await p90Of({ ratePerSecond: 100, arrivals: 'even' })).toBeGreaterThan(500);
});

test.each([
  { durationMs: 1_000, ratePerSecond: 100, arrivals: 'even' as const },
  { stages: [{ durationMs: 1_000, ratePerSecond: 200 }], arrivals: 'even' as const },
  { durationMs: 1_000, users: 2 },
  { durationMs: 1_000, users: 2, windowMs: 500 },
])('a response after the last window does not spoil the peak: %j', async (load) => {
  const clock = createFakeClock();
  const result = await clock.settle(generateLoad(() => sleep(clock, 30), { ...load, clock }));
  expect(result.timeline.at(-1)?.atMs).toBe(1_000);
  expect(result.peakLoad).toBeGreaterThan(50);
  expect(result.peakLoad).toBeLessThan(201);
  expect(result.recommendations.join()).toMatch(/up to \d+ a second/);
});
