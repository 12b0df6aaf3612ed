import { expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type CircuitResult,
  createAdaptiveLimit,
  createCircuitBreaker,
  createFallback,
  createHedge,
  createResilienceStack,
  createRetry,
  createThrottle,
  createTimeout,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';
import { failing, quick, real, settled, watchWarnings } from './failing-call.ts';

const warn = watchWarnings();

const never = (): Promise<never> => new Promise(() => undefined);

/** Calls of a policy whose callback never settles, and what they have come to after `timeoutMs`, without a signal. */
const endless: Readonly<Record<string, (clock: FakeClock) => Promise<unknown>>> = {
  'shouldFallBack of a stack': (clock) =>
    createResilienceStack({ fallback: { shouldFallBack: never }, timeoutMs: 100, clock }).execute(
      failing,
      { fallbackValue: 1 },
    ),
  'fallback of a stack': (clock) =>
    createResilienceStack({ timeoutMs: 100, clock }).execute(failing, { fallback: never }),
  'retryableErrors of a stack': (clock) =>
    createResilienceStack({
      retry: { ...quick, retryableErrors: never, timeoutMs: 100 },
      clock,
    }).execute(failing),
  'budget of a stack': (clock) =>
    createResilienceStack({
      retry: { ...quick, budget: { deposit: never, tryWithdraw: never }, timeoutMs: 100 },
      clock,
    }).execute(failing),
  'budget of a retry': (clock) =>
    createRetry({
      ...quick,
      budget: { deposit: never, tryWithdraw: never },
      timeoutMs: 100,
      clock,
    }).execute(failing),
  'budget of a hedge': (clock) => {
    const hedge = createHedge({
      delayMs: 1,
      budget: { deposit: never, tryWithdraw: never },
      clock,
    });
    return hedge.execute(async (signal) => {
      await sleep(clock, 50, signal);
      throw real;
    });
  },
  classifyResult: (clock) =>
    createCircuitBreaker({ classifyResult: never, clock }).execute(failing),
  isDrop: (clock) => createAdaptiveLimit({ isDrop: never, clock }).execute(failing),
  isOverload: (clock) => createThrottle({ isOverload: never, clock }).execute(failing),
  onSettled: (clock) =>
    createTimeout({ timeoutMs: 100, clock }).execute(failing, { onSettled: never }),
};

test.each(Object.keys(endless))(
  '%s that never settles holds the call no longer than its time',
  async (name) => {
    const clock = createFakeClock();
    const failure = failureOf(endless[name]?.(clock) ?? never());
    await clock.advance(101);
    const seen = await failure;
    expect(seen === real || Reflect.get(Object(seen), 'exhaustedBy') === 'time').toBe(true);
    expect(clock.pendingTimers).toBe(0);
  },
);

test.each(['retryableErrors', 'budget'])(
  'a %s that does not decide in time leaves the failure in the error, as the only attempt',
  async (callback) => {
    const retry =
      callback === 'budget'
        ? { ...quick, timeoutMs: 300, budget: { deposit: () => undefined, tryWithdraw: never } }
        : { ...quick, timeoutMs: 300, retryableErrors: never };
    const clock = createFakeClock();
    const calls = [
      createResilienceStack({ retry, clock }).execute(failing),
      createRetry({ ...retry, clock }).execute(failing),
    ].map((call) => failureOf(call));
    await clock.advance(300);
    for (const failure of await Promise.all(calls)) {
      expect(failure).toMatchObject({ exhaustedBy: 'time', cause: real });
      expect(Reflect.get(Object(failure), 'attempts')).toEqual([
        { attemptNumber: 1, delayMs: 0, retryable: callback === 'budget', error: real },
      ]);
    }
  },
);

test('a retryableErrors that fails leaves the failure as it was', async () => {
  const fails = [
    () => {
      throw new Error('own');
    },
    async () => Promise.reject(new Error('own')),
  ];
  for (const retryableErrors of fails) {
    const retry = { ...quick, retryableErrors };
    expect(await failureOf(createResilienceStack({ retry }).execute(failing))).toBe(real);
    expect(await failureOf(createRetry(retry).execute(failing))).toBe(real);
  }
});

test('a fallback that never settles leaves the outcome without exceptions as it was, with one warning', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({
    circuitBreaker: { failureThreshold: 1 },
    timeoutMs: 100,
    clock,
  });
  for (const kind of ['failure', 'refused']) {
    const outcome = stack.tryExecute(failing, { fallback: never });
    await clock.advance(101);
    expect(await outcome).toMatchObject({ kind });
  }
  expect(warn.mock.calls).toEqual([[expect.stringContaining('fallback did not settle')]]);
});

test('an abort is heard at once by a call whose fallback never settles', async () => {
  const clock = createFakeClock();
  for (const options of [{ fallback: never }, { fallbackValue: 1 }]) {
    const controller = new AbortController();
    const given = { ...options, signal: controller.signal };
    const shouldFallBack = 'fallback' in options ? (): boolean => true : never;
    const calls = [
      createResilienceStack({ fallback: { shouldFallBack }, clock }).execute(failing, given),
      createFallback({ shouldFallBack, clock }).execute(failing, given),
    ].map((call) => failureOf(call));
    await settled();
    controller.abort('given up');
    expect(await Promise.all(calls)).toEqual(['given up', 'given up']);
  }
});

test('an isDrop that never settles holds no slot', async () => {
  const limit = createAdaptiveLimit({ isDrop: never, initialLimit: 2, minLimit: 1 });
  for (let call = 0; call < 10; call += 1) {
    expect(await failureOf(limit.execute(failing))).toBe(real);
    expect(limit.getStats()).toMatchObject({ activeCount: 0, rejectedCount: 0 });
  }
});

test('a probe whose classification never settles fails after probeTimeoutMs', async () => {
  const clock = createFakeClock();
  let classify = async (): Promise<CircuitResult> => 'failure';
  const options = { failureThreshold: 1, openDurationMs: 100, probeTimeoutMs: 50, clock };
  const breaker = createCircuitBreaker({ ...options, classifyResult: () => classify() });
  await failureOf(breaker.execute(failing));
  await settled();
  expect(breaker.state).toBe('open');
  classify = never;
  await clock.advance(100);
  expect(await failureOf(breaker.execute(failing))).toBe(real);
  expect(breaker.state).toBe('half-open');
  await clock.advance(50);
  expect(await failureOf(breaker.execute(failing))).toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
  });
  expect(breaker.state).toBe('open');
});
