import { expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type ResilienceStackOptions, createResilienceStack } from '@holdfast/resilience';
import { failureOf, reset } from '../failures.ts';

const retry = { initialDelayMs: 500, maxDelayMs: 500, jitterFactor: 0 };
const parts: Readonly<Record<string, ResilienceStackOptions>> = {
  'retry alone': { retry },
  'a bulkhead': { retry, bulkhead: { maxConcurrent: 1 } },
  'a limiter': { retry, rateLimiter: { maxTokens: 5, refillRate: 1, maxWaitMs: 60_000 } },
  'every part': {
    retry,
    circuitBreaker: {},
    bulkhead: { maxConcurrent: 1 },
    rateLimiter: { maxTokens: 5, refillRate: 1, maxWaitMs: 60_000 },
  },
};

/** That of all deadlines of the stack, which outlives the calls and holds no process. */
const SHARED_TIMER = 1;

const failing = (): Promise<never> => Promise.reject(reset);

test.each(Object.keys(parts))(
  'close ends a backoff at once, and tells what the attempts before it came to (%s)',
  async (name) => {
    const clock = createFakeClock();
    const stack = createResilienceStack({ ...parts[name], clock });
    const calls = [stack.tryExecute(failing), stack.tryExecute(failing)];
    await clock.advance(1);
    await stack.close();
    for (const outcome of await Promise.all(calls)) {
      expect(outcome).toMatchObject({
        kind: 'failure',
        error: {
          outcome: 'unknown',
          exhaustedBy: 'refused',
          cause: { code: 'RESILIENCE_STACK_CLOSED' },
          attempts: [{ error: reset }, { attemptNumber: 2 }],
        },
      });
    }
    expect(clock.now()).toBe(1);
    expect(clock.pendingTimers).toBe(SHARED_TIMER);
  },
);

test.each(Object.keys(parts))('a closed stack says so, whatever its parts (%s)', async (name) => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ ...parts[name], clock });
  await stack.close();
  const closed = { code: 'RESILIENCE_STACK_CLOSED', outcome: 'not-applied', retryable: false };
  expect(await failureOf(stack.execute(async () => 1))).toMatchObject(closed);
  expect(await stack.tryExecute(async () => 1)).toMatchObject({
    kind: 'refused',
    policy: 'stack',
    error: closed,
  });
});

test('a call that waits for a slot or a token is refused by the stack at once', async () => {
  for (const options of [
    { bulkhead: { maxConcurrent: 1 } },
    { rateLimiter: { maxTokens: 1, refillRate: 1, maxWaitMs: 60_000 } },
  ]) {
    const clock = createFakeClock();
    const stack = createResilienceStack({ ...options, clock });
    const running = stack.execute(() => sleep(clock, 100));
    const waiting = stack.tryExecute(async () => 1);
    await clock.advance(0);
    await stack.close();
    expect(await waiting).toMatchObject({
      kind: 'refused',
      policy: 'stack',
      error: { code: 'RESILIENCE_STACK_CLOSED' },
    });
    await clock.settle(running);
  }
});

test('a second attempt that waits for a slot when the stack closes does not hide the first', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({
    retry: { ...retry, initialDelayMs: 10 },
    bulkhead: { maxConcurrent: 1 },
    clock,
  });
  const call = stack.tryExecute(failing);
  await clock.advance(0);
  const running = stack.execute(() => sleep(clock, 1_000));
  await clock.advance(20);
  await stack.close();
  expect(await call).toMatchObject({
    kind: 'failure',
    error: { outcome: 'unknown', cause: { code: 'RESILIENCE_STACK_CLOSED' } },
  });
  await clock.settle(running);
});

test('a drain leaves a backoff alone until its deadline, and then ends it', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ retry, clock });
  const call = stack.tryExecute(failing);
  await clock.advance(0);
  const closing = stack.close({ drain: true, deadlineMs: 100 });
  await clock.advance(99);
  expect(stack.getStats().failures).toBe(0);
  await clock.advance(1);
  await closing;
  expect(await call).toMatchObject({ kind: 'failure', error: { outcome: 'unknown' } });
  expect(clock.pendingTimers).toBe(SHARED_TIMER);
});

test('a call whose attempt fails after the close is not retried', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ retry, clock });
  let attempts = 0;
  const call = stack.tryExecute(async () => {
    attempts += 1;
    await sleep(clock, 100);
    throw reset;
  });
  await stack.close();
  await clock.advance(100);
  expect(await call).toMatchObject({
    kind: 'failure',
    error: { attempts: [{ error: reset }, { error: { code: 'RESILIENCE_STACK_CLOSED' } }] },
  });
  expect(attempts).toBe(1);
});

test('an abort ends a backoff at once, also after a close was asked for with drain', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ retry, clock });
  const controller = new AbortController();
  const call = stack.tryExecute(failing, { signal: controller.signal });
  await clock.advance(0);
  const closing = stack.close({ drain: true });
  controller.abort('given up');
  expect(await call).toEqual({ kind: 'aborted', reason: 'given up' });
  await closing;
  expect(clock.pendingTimers).toBe(SHARED_TIMER);
});
