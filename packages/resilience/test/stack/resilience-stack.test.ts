import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import {
  type ResilienceStack,
  type ResilienceStackOptions,
  backgroundJob,
  createResilienceStack,
  fastApi,
  maxConcurrentForCpu,
  maxConcurrentForMemory,
  maxConcurrentForNetwork,
  slowApi,
  userFacingApi,
} from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

function open(options: ResilienceStackOptions = {}): { clock: FakeClock; stack: ResilienceStack } {
  const clock = createFakeClock();
  return {
    clock,
    stack: createResilienceStack({ name: 'portal', random: () => 0.5, ...options, clock }),
  };
}

const failing = (): Promise<never> => Promise.reject(refused);
const never = (): Promise<never> => new Promise(() => undefined);

test('a stack without options still bounds its calls in time', async () => {
  const { clock, stack } = open();
  expect(await stack.execute(async () => 'ok')).toBe('ok');
  const late = failureOf(stack.execute(never));
  await clock.advance(30_000);
  expect(await late).toMatchObject({ code: 'RESILIENCE_TIMEOUT', timeoutMs: 30_000 });
});

test('a transient failure is retried, and the caller sees only the success', async () => {
  const { clock, stack } = open({ retry: { initialDelayMs: 1_000 }, circuitBreaker: {} });
  let attempts = 0;
  const result = stack.execute('wi-congressional', async () => {
    attempts += 1;
    if (attempts === 1) throw new Error('ETIMEDOUT');
    return { featureCount: 100 };
  });
  expect(await clock.settle(result)).toEqual({ featureCount: 100 });
  expect(attempts).toBe(2);
  expect(clock.now()).toBe(1_000);
  expect(stack.getStats()).toMatchObject({
    calls: 1,
    successes: 1,
    retry: { attempts: 2, retrySuccesses: 1 },
  });
});

test('an open circuit refuses with a typed outcome, and with an error that names the key', async () => {
  const { stack } = open({ circuitBreaker: { failureThreshold: 1, openDurationMs: 60_000 } });
  await failureOf(stack.execute('wi', failing));
  const work = jest.fn(async () => 'ok');
  expect(await stack.tryExecute('wi', work)).toEqual({
    kind: 'refused',
    policy: 'circuit-breaker',
    retryAfterMs: 60_000,
  });
  expect(await failureOf(stack.execute('wi', work))).toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
    key: 'wi',
    retryAfterMs: 60_000,
    cause: refused,
  });
  expect(work).not.toHaveBeenCalled();
});

test('a failed call is answered by what was kept, or by the fallback value, and says which', async () => {
  const { clock, stack } = open({ fallback: { maxStaleMs: 1_000 } });
  const cachedValue = { value: 'kept', timestamp: clock.epochMs() };
  expect(await stack.execute(failing, { fallbackValue: null })).toBeNull();
  expect(await stack.execute(failing, { cachedValue, fallbackValue: null })).toBe('kept');
  await clock.advance(1_001);
  expect(await stack.execute(failing, { cachedValue, fallbackValue: null })).toBeNull();
  expect(await stack.tryExecute(failing, { fallbackValue: 0 })).toEqual({
    kind: 'substitute',
    source: 'fallback',
    value: 0,
    error: refused,
  });
  expect(await failureOf(stack.execute(failing, {}))).toBe(refused);
  expect(stack.getStats().substitutes).toBe(4);
});

test('refusals by the stack’s own bulkhead are neutral for the circuit', async () => {
  const { stack } = open({
    circuitBreaker: { failureThreshold: 1 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 0 },
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = stack.execute(() => promise);
  expect(await stack.tryExecute(async () => 'ok')).toMatchObject({
    kind: 'refused',
    policy: 'bulkhead',
    error: expect.objectContaining({ code: 'RESILIENCE_BULKHEAD_FULL' }),
  });
  expect(stack.getHealthState().level).toBe('critical');
  resolve('ok');
  await running;
  expect(stack.circuitBreaker()?.getStats()).toMatchObject({ state: 'closed', neutralCount: 1 });
});

test('of 150 rapid calls against 100 tokens, 50 are limited before any other policy', async () => {
  const { stack } = open({ circuitBreaker: {}, rateLimiter: { maxTokens: 100, refillRate: 10 } });
  const results = await Promise.allSettled(
    Array.from({ length: 150 }, () => stack.execute('district-lookup', async () => 'ok')),
  );
  const limited = results.filter(
    (result) => result.status === 'rejected' && result.reason.code === 'RATE_LIMIT_EXCEEDED',
  );
  expect(limited).toHaveLength(50);
  expect(stack.getStats()).toMatchObject({ successes: 100, refusals: 50 });
});

test('a call that the limiter refuses counts as refused once, and one that waits for its token not at all', async () => {
  const { clock, stack } = open({ rateLimiter: { maxTokens: 1, refillRate: 1, maxWaitMs: 1_000 } });
  await stack.execute(async () => 'ok');
  const waiting = stack.execute(async () => 'waited');
  expect((await stack.tryExecute(async () => 'ok')).kind).toBe('refused');
  expect(await clock.settle(waiting)).toBe('waited');
  expect(stack.getStats().rateLimiter).toMatchObject({ grantedCount: 2, rejectedCount: 1 });
  await stack.close();
  expect((await stack.tryExecute(async () => 'ok')).kind).toBe('refused');
  // The stack refuses by itself then.
  expect(stack.getStats()).toMatchObject({ refusals: 2, rateLimiter: { rejectedCount: 1 } });
});

test('every attempt that timed out is counted, by its own time or by the whole call’s', async () => {
  const { clock, stack } = open({
    retry: { maxAttempts: 3, initialDelayMs: 1_000, jitterFactor: 0, timeoutMs: 5_000 },
    timeoutMs: 2_500,
  });
  await clock.settle(stack.tryExecute(never));
  // The second attempt had 1 500 ms left of the 5 000.
  expect(stack.getStats()).toMatchObject({ calls: 1, failures: 1, timeouts: 2 });
  await clock.settle(stack.tryExecute(failing));
  await stack.execute(async () => 'ok');
  expect(stack.getStats()).toMatchObject({ calls: 3, timeouts: 2 });
});

test('a backoff holds no slot', async () => {
  const { clock, stack } = open({
    retry: { initialDelayMs: 10_000 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 0 },
  });
  let attempts = 0;
  const retried = stack.execute(async () => {
    attempts += 1;
    if (attempts === 1) throw refused;
    return 'second';
  });
  await clock.advance(1);
  expect(await stack.execute(async () => 'meanwhile')).toBe('meanwhile');
  expect(await clock.settle(retried)).toBe('second');
});

test('a slot is released when the work has ended, not when its caller got the timeout', async () => {
  const { clock, stack } = open({
    timeoutMs: 1_000,
    bulkhead: { maxConcurrent: 1, maxQueueSize: 0 },
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  const late = failureOf(stack.execute(() => promise));
  await clock.advance(1_000);
  expect(await late).toMatchObject({ code: 'RESILIENCE_TIMEOUT' });
  expect((await stack.tryExecute(async () => 'ok')).kind).toBe('refused');
  resolve('at last');
  await clock.advance(0);
  expect((await stack.tryExecute(async () => 'ok')).kind).toBe('value');
});

test('a call whose circuit opened while it was queued is not started', async () => {
  const { clock, stack } = open({
    circuitBreaker: { failureThreshold: 1 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 5 },
  });
  const first = Promise.withResolvers<string>();
  const running = failureOf(stack.execute(() => first.promise));
  const work = jest.fn(async () => 'ok');
  const queued = stack.tryExecute(work);
  await clock.advance(0);
  first.reject(refused);
  await running;
  expect((await queued).kind).toBe('refused');
  expect(work).not.toHaveBeenCalled();
  expect(stack.getStats().bulkhead).toMatchObject({ activeCount: 0, queuedCount: 0 });
});

test('an abort at any stage rejects at once with the caller’s own reason and leaves nothing behind', async () => {
  const { clock, stack } = open({
    rateLimiter: { maxTokens: 3, refillRate: 0.001, maxWaitMs: 3_600_000 },
    retry: { initialDelayMs: 60_000 },
    circuitBreaker: { failureThreshold: 100 },
    bulkhead: { maxConcurrent: 2, maxQueueSize: 5, queueTimeoutMs: 60_000 },
  });
  const controller = new AbortController();
  const { signal } = controller;
  const working = failureOf(stack.execute(never, { signal }));
  const backingOff = failureOf(stack.execute(failing, { signal, fallbackValue: 'unused' }));
  await clock.advance(0);
  const occupying = stack.execute(() => Promise.withResolvers<string>().promise);
  void occupying.catch(() => undefined);
  const waitingForToken = stack.tryExecute(async () => 'ok', { signal });
  await clock.advance(0);
  const reason = new Error('the user left');
  controller.abort(reason);
  expect(await working).toBe(reason);
  expect(await backingOff).toBe(reason);
  expect(await waitingForToken).toEqual({ kind: 'aborted', reason });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(stack.getStats()).toMatchObject({ aborts: 3, failures: 0, substitutes: 0 });
  expect(stack.circuitBreaker()?.getStats()).toMatchObject({ failureCount: 1, neutralCount: 1 });
});

test('the total time of the retry bounds the last attempt as well', async () => {
  const { clock, stack } = open({
    retry: { initialDelayMs: 1_000, timeoutMs: 5_000 },
    timeoutMs: 4_500,
  });
  const outcome = stack.tryExecute(never);
  expect(await clock.settle(outcome)).toMatchObject({
    kind: 'failure',
    error: { code: 'RESILIENCE_RETRY_EXHAUSTED', exhaustedBy: 'time' },
  });
  expect(clock.now()).toBeLessThanOrEqual(5_000);
});

test('the wait for a slot counts towards the total time', async () => {
  const { clock, stack } = open({
    retry: { initialDelayMs: 1, timeoutMs: 5_000 },
    bulkhead: { maxConcurrent: 1, queueTimeoutMs: 60_000 },
    timeoutMs: 5_000,
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = stack.execute(() => promise);
  const queued = stack.tryExecute(never);
  await clock.advance(4_000);
  resolve('ok');
  await running;
  expect(await clock.settle(queued)).toMatchObject({ error: { exhaustedBy: 'time' } });
  expect(clock.now()).toBe(5_000);
});

test('a retry of refusals waits until the circuit admits a probe', async () => {
  const { clock, stack } = open({
    circuitBreaker: { failureThreshold: 1, openDurationMs: 2_000 },
    retry: { initialDelayMs: 10, jitterFactor: 0, retryableErrors: ['network_error', 'refused'] },
  });
  stack.circuitBreaker()?.forceOpen();
  expect(await clock.settle(stack.execute(async () => 'ok'))).toBe('ok');
  expect(clock.now()).toBe(2_000);
});

test('every attempt runs in the caller’s async context, through backoff and queue', async () => {
  const { clock, stack } = open({
    retry: { initialDelayMs: 10 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 10 },
    timeoutMs: 1_000,
  });
  const context = new AsyncLocalStorage<number>();
  const seen = new Map<number, unknown[]>();
  const calls = Array.from({ length: 4 }, (_, trace) =>
    context.run(trace, () =>
      stack.execute(async () => {
        const sightings = seen.get(trace) ?? [];
        seen.set(trace, [...sightings, context.getStore()]);
        await Promise.resolve();
        if (sightings.length === 0) throw refused;
      }),
    ),
  );
  await clock.settle(Promise.all(calls));
  expect([...seen]).toEqual([0, 1, 2, 3].map((trace) => [trace, [trace, trace]]));
});

test('a deadline expires in the async context of its own call, at the first attempt and the second', async () => {
  const { clock, stack } = open({ retry: { maxAttempts: 2, initialDelayMs: 10 }, timeoutMs: 100 });
  const context = new AsyncLocalStorage<number>();
  const seen: unknown[] = [];
  const calls = [0, 1, 2].map((trace) =>
    context.run(trace, () =>
      stack.tryExecute((signal) => {
        signal.addEventListener('abort', () => seen.push([trace, context.getStore()]));
        return never();
      }),
    ),
  );
  await clock.settle(Promise.all(calls));
  expect(seen).toEqual([0, 1, 2, 0, 1, 2].map((trace) => [trace, trace]));
});

test('after close waiting and later calls are refused, and closing twice is harmless', async () => {
  const { clock, stack } = open({ bulkhead: { maxConcurrent: 1 } });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = stack.execute(() => promise);
  const waiting = failureOf(stack.execute(async () => 'ok'));
  await clock.advance(0);
  await stack.close();
  await stack[Symbol.asyncDispose]();
  expect(await waiting).toMatchObject({ code: 'RESILIENCE_STACK_CLOSED', retryable: false });
  expect(await failureOf(stack.execute(async () => 'ok'))).toMatchObject({
    code: 'RESILIENCE_STACK_CLOSED',
  });
  resolve('unharmed');
  expect(await running).toBe('unharmed');
});

test.each([
  ['userFacingApi', userFacingApi],
  ['backgroundJob', backgroundJob],
  ['fastApi', fastApi],
  ['slowApi', slowApi],
])('the preset %s makes a stack that works', async (name, preset) => {
  const { stack } = open({ ...preset, name });
  expect(await stack.execute(async () => 'ok')).toBe('ok');
});

test('bulkheads are sized by the scarce resource', () => {
  expect(maxConcurrentForCpu(4)).toBe(8);
  expect([2, 20, 200].map(maxConcurrentForNetwork)).toEqual([10, 20, 50]);
  expect(maxConcurrentForMemory(1_000, 300)).toBe(3);
  expect(maxConcurrentForMemory(100, 300)).toBe(1);
  expect(() => maxConcurrentForCpu(Number.NaN)).toThrow('cores must be a number above 0');
});

test.each<[Record<string, unknown>, string]>([
  [{ circuitBreaker: { failureThreshold: 0 } }, 'circuitBreaker.failureThreshold'],
  [{ circuitBreaker: true }, 'circuitBreaker'],
  [{ retry: { maxAttempts: 0 } }, 'retry.maxAttempts'],
  [{ retry: { attemptTimeoutMs: 5 } }, 'retry.attemptTimeoutMs'],
  [{ bulkhead: { maxConcurrent: -1 } }, 'bulkhead.maxConcurrent'],
  [{ rateLimiter: { maxTokens: 5 } }, 'rateLimiter.refillRate'],
  [{ fallback: { maxStaleMs: -1 } }, 'fallback.maxStaleMs'],
  [{ timeoutMs: 0 }, 'timeoutMs'],
  [{ retries: {} }, 'retries'],
])('%j is refused by its whole path', (options, field) => {
  expect(() => createResilienceStack(options)).toThrow(InvalidOptionError);
  expect(() => createResilienceStack(options)).toThrow(`createResilienceStack: ${field} must be`);
});
