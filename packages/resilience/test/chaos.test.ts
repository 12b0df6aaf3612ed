import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import {
  ChaosFaultError,
  ChaosStallError,
  type ChaosStrategy,
  chaosFault,
  chaosLatency,
  chaosOutcome,
  chaosStall,
  createChaos,
} from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from './failures.ts';

test('while it is off, a call goes straight through and nothing is drawn', () => {
  const chaos = createChaos({ strategies: [chaosFault({ rate: () => NaN })] });
  const result = {};
  expect(chaos.execute(() => result)).toBe(result);
  expect(chaos.getStats()).toEqual({ enabled: false, seed: 1, callCount: 0, struckCount: 0 });
});

test('it can be switched on and off while calls run', async () => {
  const chaos = createChaos({ strategies: [chaosFault({ rate: 1 })] });
  expect(chaos.enabled).toBe(false);
  chaos.enable();
  expect(await failureOf(Promise.resolve(chaos.execute(() => 1)))).toBeInstanceOf(ChaosFaultError);
  chaos.disable();
  expect(await chaos.execute(() => 1)).toBe(1);
});

test('a fault strikes the given share of the calls, and the function is not called', async () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const strategies = [chaosFault({ rate: 0.3, error: () => refused })];
  const chaos = createChaos({ strategies, enabled: true, seed: 42 });
  let called = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 2_000 }, async () => chaos.execute(() => (called += 1))),
  );
  const failed = results.filter((result) => result.status === 'rejected');
  expect(failed.length).toBeGreaterThan(2_000 * 0.27);
  expect(failed.length).toBeLessThan(2_000 * 0.33);
  expect(called).toBe(2_000 - failed.length);
  expect(failed.every(({ reason }) => reason === refused)).toBe(true);
  expect(chaos.getStats()).toMatchObject({ callCount: 2_000, struckCount: failed.length });
});

test('latency delays the call by a time between its bounds', async () => {
  const clock = createFakeClock();
  const strategies = [chaosLatency({ rate: 1, delayMs: 100, maxDelayMs: 200 })];
  const chaos = createChaos({ strategies, enabled: true, clock });
  const waits: number[] = [];
  for (let call = 0; call < 50; call += 1) {
    const startedMs = clock.now();
    await clock.settle(Promise.resolve(chaos.execute(() => 1)));
    waits.push(clock.now() - startedMs);
  }
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(100);
  expect(Math.max(...waits)).toBeLessThanOrEqual(200);
  expect(new Set(waits).size).toBeGreaterThan(40);
});

test('an outcome answers in place of the call, and its type is part of the answer', async () => {
  const strategies = [chaosOutcome({ rate: 1, outcome: () => ({ status: 503 }) })];
  const chaos = createChaos({ strategies, enabled: true });
  const answer: string | { status: number } = await chaos.execute(() => 'real');
  expect(answer).toEqual({ status: 503 });
});

test('a stall ends only by abort, with its reason, or after maxStallMs', async () => {
  const clock = createFakeClock();
  const strategies = [chaosStall({ rate: 1, maxStallMs: 5_000 })];
  const chaos = createChaos({ strategies, enabled: true, clock });
  const controller = new AbortController();
  const aborted = failureOf(Promise.resolve(chaos.execute(() => 1, { signal: controller.signal })));
  await clock.advance(4_999);
  const reason = new Error('timed out');
  controller.abort(reason);
  expect(await aborted).toBe(reason);
  expect(clock.pendingTimers).toBe(0);
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  const call = Promise.resolve(chaos.execute(() => 1));
  expect(await failureOf(clock.settle(call))).toBeInstanceOf(ChaosStallError);
});

test('an aborted signal meets no trouble and starts nothing', async () => {
  const chaos = createChaos({ strategies: [chaosFault({ rate: 1 })], enabled: true });
  const signal = AbortSignal.abort(new Error('gone before'));
  const call = Promise.resolve(chaos.execute(() => 1, { signal }));
  expect(await failureOf(call)).toBe(signal.reason);
});

test('the same seed gives the same trouble to the same calls, one by one or all at a time', async () => {
  const run = async (seed: number, way: 'one by one' | 'all at a time') => {
    const clock = createFakeClock();
    const strategies: ChaosStrategy<string>[] = [
      chaosLatency({ rate: 0.5, delayMs: 0, maxDelayMs: 100 }),
      chaosFault({ rate: 0.2 }),
      chaosOutcome({ rate: 0.2, outcome: () => 'instead' }),
    ];
    const chaos = createChaos({ strategies, enabled: true, seed, clock });
    const answers: [string, number][] = [];
    const call = async (): Promise<void> => {
      const startedMs = clock.now();
      const answer = await Promise.resolve(chaos.execute(() => 'real')).catch(() => 'failed');
      answers.push([answer, Math.round(clock.now() - startedMs)]);
    };
    if (way === 'one by one') {
      for (let made = 0; made < 100; made += 1) await clock.settle(call());
    } else {
      await clock.settle(Promise.all(Array.from({ length: 100 }, call)));
    }
    return answers.map(String).toSorted();
  };
  const first = await run(42, 'one by one');
  expect(new Set(first.map((answer) => answer.split(',')[0])).size).toBe(3);
  expect(await run(42, 'all at a time')).toEqual(first);
  expect(await run(43, 'one by one')).not.toEqual(first);
});

test('a rate may be asked for at each call', async () => {
  let rate = 0;
  const chaos = createChaos({ strategies: [chaosFault({ rate: () => rate })], enabled: true });
  expect(await chaos.execute(() => 'calm')).toBe('calm');
  rate = 1;
  expect(await failureOf(Promise.resolve(chaos.execute(() => 1)))).toBeInstanceOf(ChaosFaultError);
});

test('options out of range or contradicting each other are refused at once', () => {
  const refused: readonly (() => unknown)[] = [
    () => chaosFault({ rate: 1.1 }),
    () => chaosFault({ rate: NaN }),
    () => chaosLatency({ rate: 1, delayMs: -1 }),
    () => chaosLatency({ rate: 1, delayMs: 10, maxDelayMs: 9 }),
    () => chaosStall({ rate: 1, maxStallMs: 0 }),
    () => Reflect.apply(chaosOutcome, undefined, [{ rate: 1 }]),
    () => Reflect.apply(chaosFault, undefined, [{}]),
    () => createChaos({ strategies: [] }),
    () => Reflect.apply(createChaos, undefined, [{ strategies: ['fault'] }]),
    () => createChaos({ strategies: [chaosFault({ rate: 1 })], seed: -1 }),
  ];
  for (const make of refused) {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  }
});
