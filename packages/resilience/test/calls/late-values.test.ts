import { expect, jest, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createCoalescer,
  createFallback,
  createHedge,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createThrottle,
  createTimeout,
  retry,
  withTimeout,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

interface Connection {
  readonly id: number;
}

interface CallOptions {
  readonly signal: AbortSignal;
  readonly onDiscarded: (value: Connection) => unknown;
}

type Call = (work: () => Promise<Connection>, options: CallOptions) => Promise<unknown>;

/** One call of every policy, whose caller gives up while the work runs. */
const calls: Readonly<Record<string, () => Call>> = {
  breaker: () => {
    const breaker = createCircuitBreaker();
    return (work, options) => breaker.execute(work, options);
  },
  bulkhead: () => {
    const bulkhead = createBulkhead();
    return (work, options) => bulkhead.execute(work, options);
  },
  'rate limiter': () => {
    const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1 });
    return (work, options) => limiter.execute(work, options);
  },
  timeout: () => {
    const timeout = createTimeout({ timeoutMs: 60_000 });
    return (work, options) => timeout.execute(work, options);
  },
  withTimeout: () => (work, options) => withTimeout(work, { timeoutMs: 60_000, ...options }),
  hedge: () => {
    const hedge = createHedge({ delayMs: 60_000 });
    return (work, options) => hedge.execute(work, options);
  },
  'retry policy': () => {
    const policy = createRetry();
    return (work, options) => policy.execute(work, options);
  },
  'retry()': () => (work, options) => retry(work, options),
  'adaptive limit': () => {
    const limit = createAdaptiveLimit();
    return (work, options) => limit.execute(work, options);
  },
  throttle: () => {
    const throttle = createThrottle();
    return (work, options) => throttle.execute(work, options);
  },
  coalescer: () => {
    const coalescer = createCoalescer<Connection>();
    return (work, options) => coalescer.execute('key', work, options);
  },
  stack: () => {
    const stack = createResilienceStack({ circuitBreaker: {}, retry: {}, bulkhead: {} });
    return (work, options) => stack.execute(work, options);
  },
};

test.each(Object.keys(calls))(
  'an abort rejects a call of the %s at once, and its late value is discarded',
  async (name) => {
    const call = calls[name]?.();
    const { promise, resolve } = Promise.withResolvers<Connection>();
    const controller = new AbortController();
    const discarded: Connection[] = [];
    const onDiscarded = (value: Connection): void => void discarded.push(value);
    let started = false;
    const work = (): Promise<Connection> => {
      started = true;
      return promise;
    };
    const outcome = call?.(work, { signal: controller.signal, onDiscarded });
    await Promise.resolve();
    await Promise.resolve();
    expect(started).toBe(true);
    controller.abort('given up');
    await expect(outcome).rejects.toBe('given up');
    expect(discarded).toEqual([]);
    resolve({ id: 1 });
    await new Promise((done) => {
      setImmediate(done);
    });
    expect(discarded).toEqual([{ id: 1 }]);
  },
);

test.each(Object.keys(calls))(
  'a value of the %s that is not late is not discarded',
  async (name) => {
    const onDiscarded = jest.fn();
    const { signal } = new AbortController();
    await calls[name]?.()(async () => ({ id: 1 }), { signal, onDiscarded });
    expect(onDiscarded).not.toHaveBeenCalled();
  },
);

test('a fallback alone settles on abort at once', async () => {
  const controller = new AbortController();
  const never = (): Promise<never> => new Promise(() => undefined);
  const outcome = createFallback().execute(never, { fallbackValue: 1, signal: controller.signal });
  controller.abort('given up');
  await expect(outcome).rejects.toBe('given up');
});

test('a value that arrives after a timeout is discarded, whatever policy timed out', async () => {
  const clock = createFakeClock();
  const policies: Record<string, Call> = {
    timeout: (work, options) => createTimeout({ timeoutMs: 10, clock }).execute(work, options),
    withTimeout: (work, options) => withTimeout(work, { timeoutMs: 10, clock, ...options }),
    stack: (work, options) =>
      createResilienceStack({ timeoutMs: 10, clock }).execute(work, options),
    total: (work, options) =>
      createRetry({ timeoutMs: 10, initialDelayMs: 1, clock }).execute(work, options),
    attempt: (work, options) =>
      createRetry({ attemptTimeoutMs: 10, maxAttempts: 1, clock }).execute(work, options),
  };
  for (const call of Object.values(policies)) {
    const { promise, resolve } = Promise.withResolvers<Connection>();
    const discarded: Connection[] = [];
    const { signal } = new AbortController();
    const onDiscarded = (value: Connection): void => void discarded.push(value);
    const outcome = failureOf(call(() => promise, { signal, onDiscarded }));
    await clock.advance(10);
    await outcome;
    resolve({ id: 7 });
    await clock.advance(0);
    expect(discarded).toEqual([{ id: 7 }]);
  }
});

test('the value of an attempt that lost a hedge is discarded', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 10, clock });
  const first = Promise.withResolvers<Connection>();
  const discarded: Connection[] = [];
  const call = hedge.execute(
    (_signal, attempt) => (attempt === 1 ? first.promise : Promise.resolve({ id: 2 })),
    { onDiscarded: (value) => discarded.push(value) },
  );
  await clock.advance(10);
  expect(await call).toEqual({ id: 2 });
  first.resolve({ id: 1 });
  await clock.advance(0);
  expect(discarded).toEqual([{ id: 1 }]);
});

test('an aborted call of a breaker is neutral, and its late result changes nothing', async () => {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ failureThreshold: 1, openDurationMs: 10, clock });
  breaker.forceOpen();
  await clock.advance(10);
  const controller = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const probe = failureOf(breaker.execute(() => promise, { signal: controller.signal }));
  controller.abort('given up');
  expect(await probe).toBe('given up');
  expect(breaker.getStats()).toMatchObject({ state: 'half-open', neutralCount: 1 });
  // Its place is free for another probe.
  expect(await breaker.execute(() => 'up')).toBe('up');
  reject(new Error('late'));
  await clock.advance(0);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', failureCount: 0 });
});
