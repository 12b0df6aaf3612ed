import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type CircuitBreakerOptions,
  type CircuitResult,
  type RetryOptions,
  RetryExhaustedError,
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createCoalescer,
  createFallback,
  createHedge,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createThrottle,
  createTimeout,
  retry as retryCall,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';
import { failing, quick, real, settled, watchWarnings } from './failing-call.ts';

/** A function of the user, with any result. */
type Callback = () => never;

const odd: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new Error('the callback failed');
  },
  'throws an object without a prototype': () => {
    // oxlint-disable-next-line no-throw-literal -- users throw anything
    throw Object.create(null);
  },
  'throws null': () => {
    // oxlint-disable-next-line no-throw-literal, typescript/only-throw-error -- users throw anything
    throw null;
  },
  rejects: async () => {
    throw new Error('the callback failed');
  },
};

/** A callback of any signature, for an option that expects another one. */
function as(callback: () => unknown): Callback;
function as(callback: () => unknown): () => unknown {
  return callback;
}

const warn = watchWarnings();

const retried = async (options: RetryOptions): Promise<unknown> =>
  failureOf(createRetry(options).execute(failing));
const stacked = async (retry: RetryOptions): Promise<unknown> =>
  failureOf(createResilienceStack({ retry }).execute(failing));
const broken = async (options: CircuitBreakerOptions): Promise<unknown> => {
  const breaker = createCircuitBreaker({ failureThreshold: 1, ...options });
  const failure = await failureOf(breaker.execute(failing));
  await settled();
  return [failure, breaker.state];
};

/** Every function that the policies take, and what the caller of a failing call gets although it fails. */
const callbacks: Readonly<
  Record<string, { play: (callback: Callback) => Promise<unknown>; right: unknown }>
> = {
  retryableErrors: {
    play: (retryableErrors) => retried({ ...quick, retryableErrors }),
    right: real,
  },
  'retryableErrors of a stack': {
    play: (retryableErrors) => stacked({ ...quick, retryableErrors }),
    right: real,
  },
  'backoff.delays': {
    play: (delays) => {
      const clock = createFakeClock();
      const policy = createRetry({ maxAttempts: 2, backoff: { delays }, clock });
      return clock.settle(failureOf(policy.execute(failing)));
    },
    right: expect.objectContaining({ exhaustedBy: 'attempts', cause: real }),
  },
  'budget.tryWithdraw': {
    play: (tryWithdraw) => retried({ ...quick, budget: { deposit: () => undefined, tryWithdraw } }),
    right: expect.objectContaining({ exhaustedBy: 'budget', cause: real }),
  },
  'budget.tryWithdraw of a stack': {
    play: (tryWithdraw) => stacked({ ...quick, budget: { deposit: () => undefined, tryWithdraw } }),
    right: expect.objectContaining({ exhaustedBy: 'budget', cause: real }),
  },
  'budget.deposit': {
    play: (deposit) => retried({ ...quick, budget: { deposit, tryWithdraw: () => true } }),
    right: expect.objectContaining({ exhaustedBy: 'attempts', cause: real }),
  },
  'random of a retry': {
    play: (random) => retried({ maxAttempts: 2, initialDelayMs: 1, random }),
    right: expect.objectContaining({ exhaustedBy: 'attempts', cause: real }),
  },
  'budget of a hedge': {
    play: async (tryWithdraw) => {
      const clock = createFakeClock();
      const hedge = createHedge({
        delayMs: 1,
        budget: { deposit: tryWithdraw, tryWithdraw },
        clock,
      });
      const { promise, reject } = Promise.withResolvers<never>();
      const call = failureOf(hedge.execute(() => promise));
      await clock.advance(1);
      reject(real);
      return [await call, hedge.getStats().hedgeCount];
    },
    right: [real, 0],
  },
  classifyResult: {
    play: (classifyResult) => broken({ classifyResult }),
    right: [real, 'open'],
  },
  'classifyResult of a stack': {
    play: async (classifyResult) =>
      failureOf(createResilienceStack({ circuitBreaker: { classifyResult } }).execute(failing)),
    right: real,
  },
  nextOpenDurationMs: {
    play: (nextOpenDurationMs) => broken({ nextOpenDurationMs }),
    right: [real, 'open'],
  },
  shouldFallBack: {
    play: async (shouldFallBack) =>
      failureOf(createFallback({ shouldFallBack }).execute(failing, { fallbackValue: 1 })),
    right: real,
  },
  'shouldFallBack of a stack': {
    play: async (shouldFallBack) => {
      const stack = createResilienceStack({ fallback: { shouldFallBack } });
      const outcome = await stack.tryExecute(failing, { fallbackValue: 1 });
      return [await failureOf(stack.execute(failing, { fallbackValue: 1 })), outcome];
    },
    right: [real, { kind: 'failure', error: real }],
  },
  isDrop: {
    play: async (isDrop) => {
      const limit = createAdaptiveLimit({ isDrop });
      const failure = await failureOf(limit.execute(failing));
      await settled();
      return [failure, limit.getStats().activeCount];
    },
    right: [real, 0],
  },
  isOverload: {
    play: async (isOverload) => failureOf(createThrottle({ isOverload }).execute(failing)),
    right: real,
  },
  onSettled: {
    play: async (onSettled) =>
      failureOf(createTimeout({ timeoutMs: 1_000 }).execute(failing, { onSettled })),
    right: real,
  },
  'onSettled of a success': {
    play: (onSettled) => createTimeout({ timeoutMs: 1_000 }).execute(() => 'up', { onSettled }),
    right: 'up',
  },
  onDiscarded: {
    play: async (onDiscarded) => {
      const clock = createFakeClock();
      const { promise, resolve } = Promise.withResolvers<string>();
      const timeout = createTimeout({ timeoutMs: 1, clock });
      const call = failureOf(timeout.execute(() => promise, { onDiscarded }));
      await clock.advance(1);
      resolve('late');
      return Reflect.get(Object(await call), 'code');
    },
    right: 'RESILIENCE_TIMEOUT',
  },
  'a listener of a breaker': {
    play: async (listener) => {
      const breaker = createCircuitBreaker({ failureThreshold: 1 });
      breaker.on('stateChanged', listener);
      return [await failureOf(breaker.execute(failing)), breaker.state];
    },
    right: [real, 'open'],
  },
  'a listener of a bulkhead': {
    play: async (listener) => {
      const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 0 });
      bulkhead.on('rejected', listener);
      bulkhead.tryAcquire();
      return Reflect.get(Object(await failureOf(bulkhead.acquire())), 'code');
    },
    right: 'RESILIENCE_BULKHEAD_FULL',
  },
  'a listener of a limiter': {
    play: async (listener) => {
      const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1e-3 });
      limiter.on('rejected', listener);
      limiter.tryAcquire();
      return Reflect.get(Object(await failureOf(limiter.acquire())), 'code');
    },
    right: 'RATE_LIMIT_EXCEEDED',
  },
  'a listener of a retry': {
    play: async (listener) => {
      const policy = createRetry({ maxAttempts: 1 });
      policy.on('exhausted', listener);
      return failureOf(policy.execute(failing));
    },
    right: expect.objectContaining({ exhaustedBy: 'attempts', cause: real }),
  },
};

describe.each(Object.keys(callbacks))('%s', (name) => {
  test.each(Object.keys(odd))(
    'that %s leaves the call its own outcome, with one warning',
    async (how) => {
      const { play, right } = callbacks[name] ?? {};
      const callback = odd[how];
      if (play === undefined || callback === undefined) throw new TypeError('no such row');
      expect(await play(as(callback))).toEqual(right);
      await settled();
      expect(warn).toHaveBeenCalledTimes(1);
    },
  );
});

test('a schedule that begins to throw later leaves the call its own outcome, with one warning', async () => {
  let calls = 0;
  const delays = (): Iterator<number, never> => {
    calls += 1;
    if (calls > 1) throw new Error('the schedule failed');
    return { next: () => ({ value: 1 }) };
  };
  const clock = createFakeClock();
  const policy = createRetry({ maxAttempts: 3, backoff: { delays }, clock });
  const failure = await clock.settle(failureOf(policy.execute(failing)));
  expect(failure).toBeInstanceOf(RetryExhaustedError);
  expect(failure).toMatchObject({ cause: real, attempts: { length: 3 } });
  expect(warn.mock.calls).toEqual([[expect.stringContaining('backoff.delays')]]);
});

test.each([
  ['a promise of false', async () => false, 1],
  ['a promise of true', async () => true, 2],
])('retryableErrors that returns %s is awaited', async (_name, retryableErrors, attempts) => {
  const policy = createRetry({ ...quick, retryableErrors });
  await failureOf(policy.execute(failing));
  expect(policy.getStats().attempts).toBe(attempts);
  const stack = createResilienceStack({ retry: { ...quick, retryableErrors } });
  await failureOf(stack.execute(failing));
  expect(stack.getStats().retry?.attempts).toBe(attempts);
});

test('promises of the other decisions are awaited', async () => {
  const answer = (result: CircuitResult) => (): Promise<CircuitResult> => Promise.resolve(result);
  const breaker = createCircuitBreaker({
    failureThreshold: 1,
    classifyResult: answer('neutral'),
  });
  await failureOf(breaker.execute(failing));
  expect(breaker.getStats()).toMatchObject({ state: 'closed', neutralCount: 1 });
  const opening = createCircuitBreaker({
    failureThreshold: 1,
    classifyResult: answer('failure'),
  });
  await failureOf(opening.execute(failing));
  expect(opening.state).toBe('open');
  const fallback = createFallback({ shouldFallBack: async () => false });
  expect(await failureOf(fallback.execute(failing, { fallbackValue: 1 }))).toBe(real);
  const throttle = createThrottle({ isOverload: async () => false });
  await failureOf(throttle.execute(failing));
  expect(throttle.getStats().acceptCount).toBe(1);
  expect(warn).not.toHaveBeenCalled();
});

test('a promise that never settles holds a call no longer than its time or its signal', async () => {
  const clock = createFakeClock();
  const retryableErrors = (): Promise<boolean> => new Promise(() => undefined);
  const retry = { ...quick, retryableErrors, timeoutMs: 100 };
  const policy = createRetry({ ...retry, clock });
  const stack = createResilienceStack({ retry, clock });
  const late = [failureOf(policy.execute(failing)), failureOf(stack.execute(failing))];
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = [
    failureOf(policy.execute(failing, { signal })),
    failureOf(stack.execute(failing, { signal })),
  ];
  await clock.advance(99);
  controller.abort('given up');
  expect(await Promise.all(aborted)).toEqual(['given up', 'given up']);
  await clock.advance(1);
  for (const failure of await Promise.all(late))
    expect(failure).toMatchObject({ exhaustedBy: 'time' });
});

test.each([
  ['finite', [1, 2]],
  ['NaN', [1, Number.NaN, 1, 1]],
  ['negative', [-1, 1, 1, 1]],
  ['infinite', [1, Infinity, 1, 1]],
  ['of strings', ['100', '100', '100', '100']],
  ['empty', []],
])('a schedule that is %s is refused with its field', (_name, values) => {
  const delays = as(() => values.values());
  const refused = expect.objectContaining({
    field: expect.stringMatching(/^backoff\.delays\[\d\]$/),
  });
  expect(() => createRetry({ maxAttempts: 5, backoff: { delays } })).toThrow(refused);
  expect(() => createResilienceStack({ retry: { maxAttempts: 5, backoff: { delays } } })).toThrow(
    expect.objectContaining({ field: expect.stringMatching(/^retry\.backoff\.delays\[\d\]$/) }),
  );
});

test('a finite schedule that is long enough is used to its end', async () => {
  const delays = as(() => [0, 0].values());
  const failure = await retried({ maxAttempts: 3, backoff: { delays } });
  expect(failure).toMatchObject({ attempts: { length: 3 }, exhaustedBy: 'attempts' });
  expect(warn).not.toHaveBeenCalled();
});

test.each([null, undefined, 0, '', Number.NaN, Symbol.for('thrown'), Object.create(null)])(
  'work that rejects with %p comes out as that',
  async (thrown: unknown) => {
    // oxlint-disable-next-line prefer-promise-reject-errors -- users reject with anything
    const work = (): Promise<never> => Promise.reject(thrown);
    const final = { maxAttempts: 1, retryableErrors: () => false };
    const calls: (() => Promise<unknown>)[] = [
      () => createResilienceStack({ retry: final, circuitBreaker: {}, bulkhead: {} }).execute(work),
      () => createRetry(final).execute(work),
      () => createCircuitBreaker().execute(work),
      () => createBulkhead().execute(work),
      () => createTimeout({ timeoutMs: 1_000 }).execute(work),
      () => createHedge({ delayMs: 1_000 }).execute(work),
      () => createFallback().execute(work),
      () => createThrottle().execute(work),
      () => createAdaptiveLimit().execute(work),
      () => createRateLimiter({ maxTokens: 9, refillRate: 9 }).execute(work),
      () => createCoalescer().execute('key', work),
      () => createKeyedCircuitBreakers().get('key').execute(work),
      () => retryCall(work, final),
    ];
    for (const call of calls) {
      const seen = await call().then(
        () => 'resolved',
        (error: unknown) => [error],
      );
      expect(seen).toEqual([thrown]);
    }
    const exhausted = await failureOf(
      createRetry({ maxAttempts: 1, retryableErrors: () => true }).execute(work),
    );
    expect(exhausted).toMatchObject({ code: 'RESILIENCE_RETRY_EXHAUSTED', cause: thrown });
    expect(await createResilienceStack({ retry: final }).tryExecute(work)).toEqual({
      kind: 'failure',
      error: thrown,
    });
  },
);

test('without a budget only the limits of a single retry hold', async () => {
  let attempts = 0;
  const work = (): Promise<never> => {
    attempts += 1;
    return failing();
  };
  const failure = await failureOf(
    retryCall(work, { maxAttempts: 1_000, initialDelayMs: 0, maxDelayMs: 0 }),
  );
  expect(failure).toMatchObject({ exhaustedBy: 'attempts' });
  expect(attempts).toBe(1_000);
});
