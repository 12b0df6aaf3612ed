import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { RateLimitedError, RateLimiterClosedError, createRateLimiter } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

const DAY_MS = 86_400_000;

test('of 150 rapid calls against 100 tokens, 100 pass and 50 are limited', async () => {
  const limiter = createRateLimiter({ maxTokens: 100, refillRate: 10, clock: createFakeClock() });
  const results = await Promise.allSettled(
    Array.from({ length: 150 }, () => limiter.execute(async () => 'district')),
  );
  const limited = results.filter(
    (result) => result.status === 'rejected' && result.reason.code === 'RATE_LIMIT_EXCEEDED',
  );
  expect(limited).toHaveLength(50);
  expect(limiter.getStats()).toMatchObject({
    grantedCount: 100,
    rejectedCount: 50,
    availableTokens: 0,
  });
});

test('a refusal is an Error with the time after which the same call would pass', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ name: 'tiles', maxTokens: 2, refillRate: 4, clock });
  await limiter.acquire(2);
  const refusal = await failureOf(limiter.acquire());
  expect(refusal).toBeInstanceOf(RateLimitedError);
  expect(refusal).toBeInstanceOf(Error);
  expect(refusal).toMatchObject({
    code: 'RATE_LIMIT_EXCEEDED',
    retryable: true,
    outcome: 'not-applied',
    retryAfterMs: 250,
    message: expect.stringContaining('rate limiter tiles'),
  });
  expect(refusal).toMatchObject({
    message: expect.stringContaining('no 1 of 2 tokens within 0 ms'),
  });
  await clock.advance(249);
  expect(limiter.tryAcquire()).toBe(false);
  expect(limiter.getStats().rejectedCount).toBe(2);
  await clock.advance(1);
  expect(limiter.tryAcquire()).toBe(true);
});

test('no interval, wherever it begins, lets through more than one burst and its refill', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 10, refillRate: 10, clock });
  const grantedAtMs: number[] = [];
  for (let step = 0; step < 500; step += 1) {
    await clock.advance(10);
    while (limiter.tryAcquire()) grantedAtMs.push(clock.now());
  }
  for (const startMs of grantedAtMs) {
    const within = grantedAtMs.filter((atMs) => atMs >= startMs && atMs <= startMs + 200);
    expect(within.length).toBeLessThanOrEqual(10 + 2);
  }
  expect(grantedAtMs).toHaveLength(10 + 49);
});

test('waiting calls are served in order, each as soon as its tokens are available', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 5, refillRate: 10, maxWaitMs: 10_000, clock });
  await limiter.acquire(5);
  const served: [string, number][] = [];
  const call = (name: string, tokens: number) =>
    limiter.acquire(tokens).then(() => served.push([name, clock.now()]));
  const calls = [call('large', 5), call('small', 1), call('middle', 3)];
  await clock.advance(100);
  // A token is there, but it belongs to the first in line.
  expect(limiter.tryAcquire()).toBe(false);
  await clock.advance(900);
  await Promise.all(calls);
  expect(served).toEqual([
    ['large', 500],
    ['small', 600],
    ['middle', 900],
  ]);
  expect(clock.pendingTimers).toBe(0);
});

test('a call that would wait longer than maxWaitMs behind the others is refused at once', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 10, maxWaitMs: 250, clock });
  await limiter.acquire();
  const waiting = [limiter.acquire(), limiter.acquire()];
  expect(await failureOf(limiter.acquire())).toMatchObject({ retryAfterMs: 300 });
  expect(limiter.retryAfterMs()).toBe(300);
  const patient = limiter.acquire(1, { maxWaitMs: 300 });
  await clock.advance(300);
  await Promise.all([...waiting, patient]);
  expect(limiter.getStats()).toMatchObject({ grantedCount: 4, rejectedCount: 1 });
});

test('no more than maxQueueSize calls wait', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({
    maxTokens: 1,
    refillRate: 1,
    maxWaitMs: 60_000,
    maxQueueSize: 2,
    clock,
  });
  await limiter.acquire();
  const waiting = [limiter.acquire(), limiter.acquire()];
  expect(await failureOf(limiter.acquire())).toMatchObject({
    code: 'RATE_LIMIT_EXCEEDED',
    message: expect.stringContaining('2 calls are waiting already'),
  });
  await clock.advance(2_000);
  await Promise.all(waiting);
});

test('a call that would be served in time names the full queue, not missing tokens', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({
    maxTokens: 1,
    refillRate: 1,
    maxWaitMs: 2_000,
    maxQueueSize: 1,
    clock,
  });
  await limiter.acquire();
  const waiting = limiter.acquire();
  expect(await failureOf(limiter.acquire())).toMatchObject({
    retryAfterMs: 2_000,
    message: expect.stringContaining('1 calls are waiting already'),
  });
  await clock.settle(waiting);
});

test('an aborted call leaves the queue at once with its own reason, and later ones move up', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 10, refillRate: 10, maxWaitMs: 60_000, clock });
  await limiter.acquire(10);
  const controller = new AbortController();
  const reason = new Error('the user left');
  const first = failureOf(limiter.acquire(10, { signal: controller.signal }));
  const second = limiter.acquire(2).then(() => clock.now());
  await clock.advance(400);
  controller.abort(reason);
  expect(await first).toBe(reason);
  expect(await second).toBe(400);
  expect(clock.pendingTimers).toBe(0);
});

test('a signal aborted between the grant and the start keeps the function from being called', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1, clock });
  const controller = new AbortController();
  let called = false;
  const call = limiter.execute(() => (called = true), { signal: controller.signal });
  controller.abort(new Error('left'));
  expect(await failureOf(call)).toBe(controller.signal.reason);
  expect(called).toBe(false);
  const signal = AbortSignal.abort(new Error('gone before'));
  expect(await failureOf(limiter.acquire(1, { signal }))).toBe(signal.reason);
});

test('the sustained quota limits calls that the burst would let through', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({
    maxTokens: 10,
    refillRate: 10,
    sustained: { maxTokens: 20, refillRate: 1 },
    clock,
  });
  let granted = 0;
  for (let second = 0; second < 10; second += 1) {
    while (limiter.tryAcquire()) granted += 1;
    await clock.advance(1_000);
  }
  expect(granted).toBe(20 + 9);
  // Ten seconds have passed: one token of the slower quota is there, ten of the faster one.
  expect(limiter.getStats().availableTokens).toBe(1);
  expect(limiter.retryAfterMs(3)).toBe(2_000);
});

test('a quota of one in thirty days is not granted again a millisecond early', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1 / (30 * 86_400), clock });
  expect(limiter.tryAcquire()).toBe(true);
  expect(limiter.retryAfterMs()).toBe(30 * DAY_MS);
  await clock.advance(20);
  expect(limiter.tryAcquire()).toBe(false);
  await clock.advance(30 * DAY_MS - 21);
  expect(limiter.tryAcquire()).toBe(false);
  await clock.advance(1);
  expect(limiter.tryAcquire()).toBe(true);
});

test('a call may wait thirty days for its token', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({
    maxTokens: 1,
    refillRate: 1 / (30 * 86_400),
    maxWaitMs: 40 * DAY_MS,
    clock,
  });
  await limiter.acquire();
  const waited = limiter.acquire().then(() => clock.now());
  expect(await clock.settle(waited)).toBe(30 * DAY_MS);
});

test('each call continues in its own caller’s async context', async () => {
  const clock = createFakeClock();
  const context = new AsyncLocalStorage<string>();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 10, maxWaitMs: 5_000, clock });
  const names = ['a', 'b', 'c', 'd'];
  const seen = Promise.all(
    names.map((name) => context.run(name, () => limiter.execute(() => context.getStore()))),
  );
  expect(await clock.settle(seen)).toEqual(names);
});

test('close refuses waiting and later calls, and leaves no timer', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1, maxWaitMs: 5_000, clock });
  await limiter.acquire();
  const waiting = [failureOf(limiter.acquire()), failureOf(limiter.acquire())];
  await limiter.close();
  await limiter[Symbol.asyncDispose]();
  for (const refusal of await Promise.all(waiting)) {
    expect(refusal).toBeInstanceOf(RateLimiterClosedError);
  }
  expect(await failureOf(limiter.acquire())).toBeInstanceOf(RateLimiterClosedError);
  expect(limiter.tryAcquire()).toBe(false);
  expect(limiter.getStats()).toMatchObject({ queuedCount: 0, rejectedCount: 4 });
  // Those who were refused are owed nothing any more.
  expect(limiter.retryAfterMs()).toBe(1_000);
  expect(clock.pendingTimers).toBe(0);
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1_000, maxWaitMs: 5_000, clock });
  const { signal } = new AbortController();
  const calls = Promise.all(Array.from({ length: 100 }, () => limiter.acquire(1, { signal })));
  await clock.settle(calls);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a step of the wall clock neither grants nor withholds anything', async () => {
  const clock = createFakeClock();
  const limiter = createRateLimiter({ maxTokens: 1, refillRate: 1, clock });
  limiter.tryAcquire();
  clock.stepWallClock(3_600_000);
  expect(limiter.tryAcquire()).toBe(false);
  clock.stepWallClock(-7_200_000);
  await clock.advance(1_000);
  expect(limiter.tryAcquire()).toBe(true);
  expect(limiter.getStats()).toMatchObject({ grantedCount: 2, rejectedCount: 1 });
});

test('a throwing listener does not fail the caller’s call', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const clock = createFakeClock();
  const limiter = createRateLimiter({ name: 'l', maxTokens: 1, refillRate: 1, clock });
  const heard: unknown[] = [];
  limiter.on('rejected', (event) => {
    heard.push(event);
    throw new Error('bad listener');
  });
  await limiter.acquire();
  expect(await failureOf(limiter.acquire())).toBeInstanceOf(RateLimitedError);
  expect(heard).toEqual([{ name: 'l', tokens: 1, retryAfterMs: 1_000 }]);
  expect(warn).toHaveBeenCalledTimes(1);
  warn.mockRestore();
});

test('options that are out of range, unknown or contradict each other are refused when the limiter is made', () => {
  const good = { maxTokens: 10, refillRate: 10 };
  const refused: readonly [string, object][] = [
    ['maxTokens', { refillRate: 1 }],
    ['refillRate', { maxTokens: 1 }],
    ['maxTokens', { ...good, maxTokens: 0 }],
    ['maxTokens', { ...good, maxTokens: 2.5 }],
    ['refillRate', { ...good, refillRate: 0 }],
    ['refillRate', { ...good, refillRate: NaN }],
    ['refillRate', { ...good, refillRate: -1 }],
    ['maxWaitMs', { ...good, maxWaitMs: -1 }],
    ['maxQueueSize', { ...good, maxQueueSize: 1.5 }],
    ['sustained.maxTokens', { ...good, sustained: { maxTokens: 9, refillRate: 1 } }],
    ['sustained.refillRate', { ...good, sustained: { maxTokens: 100, refillRate: 10 } }],
    ['sustained.burst', { ...good, sustained: { maxTokens: 100, refillRate: 1, burst: 1 } }],
    ['tokens', { ...good, tokens: 1 }],
  ];
  const equal = { ...good, sustained: { maxTokens: 10, refillRate: 1 } };
  expect(() => createRateLimiter(equal)).not.toThrow();
  for (const [field, given] of refused) {
    // What is missing here must stay missing.
    const options = { maxTokens: undefined, refillRate: undefined, ...given };
    expect(() => Reflect.apply(createRateLimiter, undefined, [options])).toThrow(
      expect.objectContaining({ field, code: 'INVALID_OPTION' }),
    );
  }
});

test('a call for more tokens than the bucket ever holds is refused as an invalid argument', async () => {
  const limiter = createRateLimiter({ maxTokens: 5, refillRate: 1, clock: createFakeClock() });
  for (const tokens of [0, 6, 1.5, NaN, -1]) {
    expect(() => limiter.tryAcquire(tokens)).toThrow(InvalidOptionError);
    expect(() => limiter.retryAfterMs(tokens)).toThrow(InvalidOptionError);
    expect(await failureOf(limiter.acquire(tokens))).toBeInstanceOf(InvalidOptionError);
  }
  expect(await failureOf(limiter.acquire(1, { maxWaitMs: NaN }))).toBeInstanceOf(
    InvalidOptionError,
  );
  expect(limiter.getStats()).toMatchObject({ grantedCount: 0, availableTokens: 5 });
});
