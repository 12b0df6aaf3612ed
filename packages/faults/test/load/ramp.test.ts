import { expect, test } from '@jest/globals';
import { type LoadOptions, type LoadResult, generateLoad } from '@holdfast/faults';
import { sleep } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

/** The result of a load, and when each request was sent. */
async function play(
  options: LoadOptions,
  latencyMs: (requestNumber: number, nowMs: number) => number = () => 1,
): Promise<{ result: LoadResult; sentMs: number[] }> {
  const clock = createFakeClock();
  const sentMs: number[] = [];
  const work = async (signal: AbortSignal, requestNumber: number): Promise<void> => {
    sentMs.push(clock.now());
    await sleep(clock, latencyMs(requestNumber, clock.now()), signal);
  };
  const result = await clock.settle(generateLoad(work, { arrivals: 'even', ...options, clock }));
  expect(clock.pendingTimers).toBe(0);
  return { result, sentMs };
}

test('a ramp from 0 sends as many requests as there are under its rates', async () => {
  const { result, sentMs } = await play({
    stages: [
      { durationMs: 4_000, ratePerSecond: 100 },
      { durationMs: 2_000, ratePerSecond: 100 },
      { durationMs: 1_000, ratePerSecond: 0 },
    ],
    windowMs: 1_000,
  });
  expect(result).toMatchObject({ offered: 450, succeeded: 450, duration: 7_000 });
  expect(result.ramp.map(({ atMs, offered }) => [atMs, offered])).toEqual([
    [0, 200],
    [4_000, 200],
    [6_000, 50],
  ]);
  expect(result.timeline.map(({ offered }) => offered)).toEqual([13, 37, 63, 87, 100, 100, 50]);
  expect(result.peakLoad).toBe(100);
  expect(sentMs.every((ms, index) => index === 0 || ms > (sentMs[index - 1] ?? 0))).toBe(true);
  expect(result.bottlenecks).toEqual([]);
  expect(result.recommendations).toHaveLength(1);
});

test('ratePerSecond is where the first stage begins', async () => {
  const { result, sentMs } = await play({
    ratePerSecond: 10,
    stages: [{ durationMs: 2_000, ratePerSecond: 10 }],
  });
  expect(result.offered).toBe(20);
  expect(sentMs).toEqual(Array.from({ length: 20 }, (_, index) => index * 100));
});

test('poisson arrivals follow a ramp too', async () => {
  const stages = [
    { durationMs: 10_000, ratePerSecond: 200 },
    { durationMs: 10_000, ratePerSecond: 0 },
  ];
  const { result } = await play({ stages, arrivals: 'poisson', seed: 5 });
  expect(result.offered).toBeGreaterThan(2_000 - 150);
  expect(result.offered).toBeLessThan(2_000 + 150);
  const [early, middle] = [result.timeline[1], result.timeline[9]];
  expect(middle?.offered).toBeGreaterThan(3 * (early?.offered ?? Infinity));
});

test.each([
  [{ ratePerSecond: 0.5, durationMs: 10_000 }, [0, 2_000, 4_000, 6_000, 8_000]],
  [{ ratePerSecond: 0.001, durationMs: 1_000 }, [0]],
  [{ ratePerSecond: 5, durationMs: 1 }, [0]],
])('%p sends requests at %p', async (options, expected) => {
  const { result, sentMs } = await play(options);
  expect(sentMs).toEqual(expected);
  expect(result.offered).toBe(expected.length);
  expect(result.peakLoad).toBeGreaterThan(0);
});

test('a rate above 100 000 a second is offered exactly', async () => {
  const { result } = await play({ ratePerSecond: 250_000, durationMs: 20 });
  expect(result).toMatchObject({ offered: 5_000, dropped: 0, succeeded: 5_000 });
  const slow = await play({ ratePerSecond: 250_000, durationMs: 20 }, () => 100);
  expect(slow.result).toMatchObject({ offered: 5_000, dropped: 4_000, succeeded: 1_000 });
});

test('a service that saturates in a ramp is found, with its rate', async () => {
  let freeAtMs = 0;
  // One worker that takes 10 ms: a hundred a second.
  const { result } = await play(
    { stages: [{ durationMs: 10_000, ratePerSecond: 200 }], drainTimeoutMs: 60_000 },
    (_, nowMs) => {
      freeAtMs = Math.max(freeAtMs, nowMs) + 10;
      return freeAtMs - nowMs;
    },
  );
  const saturation = result.bottlenecks.find(({ kind }) => kind === 'saturation');
  expect(saturation?.atMs).toBeGreaterThanOrEqual(5_000);
  expect(saturation?.atMs).toBeLessThanOrEqual(6_000);
  expect(saturation?.detail).toContain('100 a second');
  expect(result.recommendations.join(' ')).toContain('below 100 a second');
});

test('a stall is found with its time, and errors with their kinds', async () => {
  const clock = createFakeClock();
  const work = async (signal: AbortSignal, requestNumber: number): Promise<void> => {
    const nowMs = clock.now();
    await sleep(clock, nowMs >= 2_000 && nowMs < 5_000 ? 5_000 - nowMs : 1, signal);
    if (requestNumber % 10 === 0) throw Object.assign(new Error('no'), { code: 'ECONNRESET' });
  };
  const { bottlenecks, recommendations, errorRate } = await clock.settle(
    generateLoad(work, { durationMs: 8_000, ratePerSecond: 50, arrivals: 'even', clock }),
  );
  expect(bottlenecks).toMatchObject([
    { kind: 'stall', atMs: 2_000, detail: 'no response for 3000 ms' },
    { kind: 'saturation', atMs: 2_000 },
    { kind: 'errors', atMs: 0, detail: expect.stringContaining('network_error 40') },
  ]);
  expect(recommendations).toHaveLength(3);
  expect(errorRate).toBeCloseTo(0.1);
});

test('the windows and the steps add up to the whole, latencies included', async () => {
  const { result } = await play(
    {
      stages: [
        { durationMs: 1_000, ratePerSecond: 300 },
        { durationMs: 1_000, ratePerSecond: 300 },
      ],
      maxInFlight: 8,
      windowMs: 100,
      drainTimeoutMs: 50,
    },
    (requestNumber) => (requestNumber % 50 === 0 ? 3_600_000 : 30),
  );
  for (const parts of [result.timeline, result.ramp]) {
    const sum = (read: (part: (typeof parts)[number]) => number): number =>
      [...parts].reduce((all, part) => all + read(part), 0);
    for (const name of ['offered', 'succeeded', 'failed', 'dropped', 'unfinished'] as const) {
      expect([name, sum((part) => part[name])]).toEqual([name, result[name]]);
    }
    expect(sum(({ latency }) => latency.count)).toBe(result.offered);
  }
  expect(result.dropped).toBeGreaterThan(0);
  expect(result.unfinished).toBeGreaterThan(0);
});

test.each([
  [{ stages: [] }, 'stages'],
  [{ stages: 'up' }, 'stages'],
  [{ stages: [{ durationMs: 10 }] }, 'stages.0.ratePerSecond'],
  [{ stages: [{ durationMs: 10, ratePerSecond: 1, users: 2 }] }, 'stages.0.users'],
  [{ stages: [{ durationMs: 10, ratePerSecond: 0 }] }, 'stages'],
  [{ stages: [{ durationMs: 10, ratePerSecond: 1 }], durationMs: 10 }, 'durationMs'],
  [{ stages: [{ durationMs: 10, ratePerSecond: 1 }], users: 2 }, 'users'],
  [{ ratePerSecond: 1 }, 'durationMs'],
  [{ ratePerSecond: 0, durationMs: 1 }, 'ratePerSecond'],
  [{ durationMs: 86_400_000, windowMs: 10 }, 'windowMs'],
])('%p is refused, naming %s', async (options, field) => {
  const given: any = options;
  const load = generateLoad(() => {}, given);
  await expect(load).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});
