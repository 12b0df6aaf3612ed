import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createBulkhead, createResilienceStack, createRetry } from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

const down = Object.assign(new Error('down'), { code: 'ECONNREFUSED' });

test('a bulkhead that drains lets waiting and running calls finish, and refuses new ones', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, clock });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = bulkhead.execute(() => promise);
  const waiting = bulkhead.execute(() => 'waited');
  const closing = bulkhead.close({ drain: true }).then(() => 'closed');
  const late = await failureOf(bulkhead.execute(() => 'late'));
  expect(late).toMatchObject({ code: 'RESILIENCE_BULKHEAD_CLOSED', retryable: false });
  expect(await Promise.race([closing, Promise.resolve('open')])).toBe('open');
  resolve('ran');
  expect(await Promise.all([running, waiting, closing])).toEqual(['ran', 'waited', 'closed']);
  expect(clock.pendingTimers).toBe(0);
});

test('a drain ends at its deadline, or with its signal; waiting calls are refused then, running ones go on', async () => {
  const clock = createFakeClock();
  for (const abort of [false, true]) {
    const bulkhead = createBulkhead({ maxConcurrent: 1, queueTimeoutMs: 60_000, clock });
    const { promise, resolve } = Promise.withResolvers<string>();
    const running = bulkhead.execute(() => promise);
    const waiting = failureOf(bulkhead.execute(() => 'waited'));
    const controller = new AbortController();
    const { signal } = controller;
    const closing = bulkhead.close({ drain: true, deadlineMs: 100, signal });
    if (abort) controller.abort();
    else await clock.advance(100);
    await closing;
    expect(await waiting).toMatchObject({ code: 'RESILIENCE_BULKHEAD_CLOSED', retryable: false });
    resolve('ran');
    expect(await running).toBe('ran');
    expect(clock.pendingTimers).toBe(0);
  }
});

test('a stack that drains lets accepted calls finish with their retries, and refuses new ones', async () => {
  const clock = createFakeClock();
  for (const bulkhead of [undefined, { maxConcurrent: 1 }]) {
    const stack = createResilienceStack({
      retry: { maxAttempts: 2, initialDelayMs: 50, jitterFactor: 0 },
      ...(bulkhead === undefined ? {} : { bulkhead }),
      clock,
    });
    let attempts = 0;
    const flaky = async (): Promise<string> => {
      attempts += 1;
      if (attempts === 1) throw down;
      return 'second';
    };
    const running = stack.execute(flaky);
    const waiting = stack.execute(async () => 'waited');
    await clock.advance(0);
    const closing = stack.close({ drain: true });
    expect(await failureOf(stack.execute(async () => 'late'))).toMatchObject({
      code: 'RESILIENCE_STACK_CLOSED',
      retryable: false,
    });
    expect(await stack.tryExecute(async () => 'late')).toMatchObject({ policy: 'stack' });
    expect(await clock.settle(Promise.all([running, waiting]))).toEqual(['second', 'waited']);
    await closing;
  }
});

test('a stack that drains waits for the work of a call that timed out and still holds a slot', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ bulkhead: { maxConcurrent: 1 }, timeoutMs: 10, clock });
  const { promise, resolve } = Promise.withResolvers<string>();
  const late = failureOf(stack.execute(() => promise));
  await clock.advance(10);
  expect(await late).toMatchObject({ code: 'RESILIENCE_TIMEOUT' });
  let closed = false;
  const closing = stack.close({ drain: true }).then(() => (closed = true));
  await clock.advance(20);
  expect(closed).toBe(false);
  resolve('at last');
  await closing;
});

test('a drain of a stack ends at its deadline', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ timeoutMs: 60_000, clock });
  const hanging = stack.execute(() => new Promise<never>(() => undefined));
  hanging.catch(() => undefined);
  const closing = stack.close({ drain: true, deadlineMs: 100 });
  await clock.advance(100);
  await closing;
  await expect(stack.close({ drain: true, deadlineMs: -1 })).rejects.toMatchObject({
    field: 'deadlineMs',
  });
});

test('a stack without bulkhead and limiter refuses after close as well', async () => {
  const stack = createResilienceStack();
  await stack.close();
  expect(await failureOf(stack.execute(async () => 1))).toMatchObject({
    code: 'RESILIENCE_STACK_CLOSED',
  });
});

test('no retry goes on against what is closed, even where it retries refusals', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ clock });
  await bulkhead.close();
  const retrying = createRetry({ retryableErrors: ['refused'], clock });
  const single = failureOf(retrying.execute(() => bulkhead.execute(() => 1)));
  expect(await single).toMatchObject({ code: 'RESILIENCE_BULKHEAD_CLOSED' });
  const stack = createResilienceStack({
    retry: { retryableErrors: () => true },
    bulkhead: {},
    clock,
  });
  await stack.close();
  expect(await failureOf(stack.execute(async () => 1))).toMatchObject({
    code: 'RESILIENCE_STACK_CLOSED',
  });
  expect(retrying.getStats().attempts).toBe(1);
  expect(stack.getStats().retry?.attempts).toBe(0);
});
