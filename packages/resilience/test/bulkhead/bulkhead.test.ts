import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import {
  type BulkheadOptions,
  BulkheadClearedError,
  BulkheadClosedError,
  BulkheadFullError,
  BulkheadTimeoutError,
  createBulkhead,
} from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

/** A piece of work that ends when the test says so. */
function gate() {
  return Promise.withResolvers<void>();
}

test('no more than maxConcurrent calls run at a time, and all of them run', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 3, maxQueueSize: 20, clock: createFakeClock() });
  let running = 0;
  let peak = 0;
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      bulkhead.execute(async () => {
        running += 1;
        peak = Math.max(peak, running);
        await Promise.resolve();
        running -= 1;
        return index;
      }),
    ),
  );
  expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(peak).toBe(3);
  expect(bulkhead.getStats()).toMatchObject({ activeCount: 0, queuedCount: 0, completedCount: 20 });
});

test('a call beyond the queue is refused with the counts and the time to retry', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ name: 'maps', maxConcurrent: 1, maxQueueSize: 1, clock });
  const first = bulkhead.tryAcquire();
  await clock.advance(40);
  first?.();
  const running = gate();
  const started = bulkhead.execute(() => running.promise);
  const queued = bulkhead.execute(() => 'queued');
  const error = await failureOf(bulkhead.execute(() => 'refused'));
  expect(error).toBeInstanceOf(BulkheadFullError);
  expect(error).toMatchObject({
    code: 'RESILIENCE_BULKHEAD_FULL',
    retryable: true,
    outcome: 'not-applied',
    retryAfterMs: 80,
    message: expect.stringContaining(
      'bulkhead maps: 1 of 1 slots taken, 1 of 1 places in the queue',
    ),
  });
  expect(bulkhead.getStats()).toMatchObject({ activeCount: 1, queuedCount: 1, rejectedCount: 1 });
  running.resolve();
  await started;
  expect(await queued).toBe('queued');
});

test('the hint is the time the queue takes at the pace of past calls, over all slots, rounded up', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 4, maxQueueSize: 2, clock });
  const first = bulkhead.tryAcquire();
  await clock.advance(101);
  first?.();
  for (let slot = 0; slot < 4; slot += 1) bulkhead.tryAcquire();
  const waiting = [bulkhead.acquire(), bulkhead.acquire()];
  expect(await failureOf(bulkhead.acquire())).toMatchObject({
    retryAfterMs: Math.ceil((101 * 3) / 4),
  });
  bulkhead.clear();
  await Promise.allSettled(waiting);
});

test('every refusal is emitted with its reason', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({
    name: 'b',
    maxConcurrent: 1,
    maxQueueSize: 1,
    queueTimeoutMs: 10,
    clock,
  });
  const reasons: string[] = [];
  bulkhead.on('rejected', ({ name, reason }) => reasons.push(`${name} ${reason}`));
  bulkhead.tryAcquire();
  const late = failureOf(bulkhead.acquire());
  await failureOf(bulkhead.acquire());
  await clock.advance(10);
  await late;
  const cleared = failureOf(bulkhead.acquire());
  bulkhead.clear();
  await cleared;
  const closed = failureOf(bulkhead.acquire());
  await bulkhead.close();
  await closed;
  await failureOf(bulkhead.acquire());
  expect(reasons).toEqual(['b full', 'b timeout', 'b cleared', 'b closed', 'b closed']);
});

test('a bulkhead that never finished a call gives no retryAfterMs', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 0 });
  const release = bulkhead.tryAcquire();
  expect(await failureOf(bulkhead.acquire())).toMatchObject({
    code: 'RESILIENCE_BULKHEAD_FULL',
    retryAfterMs: undefined,
  });
  release?.();
});

test('a call without a slot is refused after exactly queueTimeoutMs', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, queueTimeoutMs: 500, clock });
  const release = bulkhead.tryAcquire();
  let refusal: unknown;
  const first = failureOf(bulkhead.acquire()).then((error) => (refusal = error));
  await clock.advance(300);
  const second = failureOf(bulkhead.acquire());
  await clock.advance(199);
  expect(refusal).toBeUndefined();
  await clock.advance(1);
  expect(refusal).toBeInstanceOf(BulkheadTimeoutError);
  expect(bulkhead.getStats()).toMatchObject({ queuedCount: 1, timedOutCount: 1 });
  await clock.advance(300);
  expect(await second).toMatchObject({ code: 'RESILIENCE_BULKHEAD_TIMEOUT' });
  await first;
  expect(clock.pendingTimers).toBe(0);
  release?.();
});

test('a new call never overtakes waiting ones, and the first in the queue runs next', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 2 });
  const order: string[] = [];
  const release = bulkhead.tryAcquire();
  const first = bulkhead.execute(() => order.push('first'));
  const second = bulkhead.execute(() => order.push('second'));
  release?.();
  // The slot has gone to the first in line already, although that call has not had its turn to run.
  expect(bulkhead.tryAcquire()).toBeUndefined();
  const newcomer = bulkhead.execute(() => order.push('newcomer'));
  await Promise.all([first, second, newcomer]);
  expect(order).toEqual(['first', 'second', 'newcomer']);
});

test('an aborted call leaves the queue at once with its signal’s reason, and its place is free', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 1, clock });
  const release = bulkhead.tryAcquire();
  const controller = new AbortController();
  let called = false;
  const waiting = bulkhead.execute(() => (called = true), { signal: controller.signal });
  const reason = new Error('the user left');
  controller.abort(reason);
  expect(bulkhead.getStats().queuedCount).toBe(0);
  const newcomer = bulkhead.execute(() => 'served');
  expect(await failureOf(waiting)).toBe(reason);
  release?.();
  expect(await newcomer).toBe('served');
  expect(called).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test('a call aborted in the turn of its admission does not start and releases the slot', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  const release = bulkhead.tryAcquire();
  const controller = new AbortController();
  let called = false;
  const waiting = bulkhead.execute(() => (called = true), { signal: controller.signal });
  release?.();
  controller.abort(new Error('too late'));
  expect(await failureOf(waiting)).toBe(controller.signal.reason);
  expect(called).toBe(false);
  expect(bulkhead.getStats().activeCount).toBe(0);
});

test('a call with an aborted signal takes neither slot nor place in the queue', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  const signal = AbortSignal.abort(new Error('gone before'));
  expect(await failureOf(bulkhead.acquire({ signal }))).toBe(signal.reason);
  expect(await failureOf(bulkhead.execute(() => 1, { signal }))).toBe(signal.reason);
  expect(bulkhead.getStats()).toMatchObject({ activeCount: 0, queuedCount: 0, completedCount: 0 });
});

test('the slot is released when the work has really settled, not when its caller gave up', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 0 });
  const controller = new AbortController();
  const work = gate();
  const call = bulkhead.execute(() => work.promise, { signal: controller.signal });
  const gaveUp = new Error('gave up');
  controller.abort(gaveUp);
  await expect(call).rejects.toBe(gaveUp);
  expect(bulkhead.tryAcquire()).toBeUndefined();
  work.resolve();
  await work.promise;
  await Promise.resolve();
  expect(bulkhead.tryAcquire()).toBeDefined();
});

test('a slot released twice counts once', () => {
  const bulkhead = createBulkhead({ maxConcurrent: 2 });
  const release = bulkhead.tryAcquire();
  bulkhead.tryAcquire();
  release?.();
  release?.();
  expect(bulkhead.getStats()).toMatchObject({ activeCount: 1, completedCount: 1 });
});

test('a function that throws, at once or later, releases the slot and rejects the call', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 0 });
  const atOnce = new Error('at once');
  const later = new Error('later');
  const throwing = bulkhead.execute(() => {
    throw atOnce;
  });
  expect(await failureOf(throwing)).toBe(atOnce);
  expect(await failureOf(bulkhead.execute(() => Promise.reject(later)))).toBe(later);
  expect(bulkhead.getStats().activeCount).toBe(0);
});

test('the work runs in its own caller’s async context, whoever released the slot', async () => {
  const context = new AsyncLocalStorage<string>();
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  const names = ['a', 'b', 'c', 'd'];
  const seen = await Promise.all(
    names.map((name) =>
      context.run(name, () =>
        bulkhead.execute(async () => {
          await Promise.resolve();
          return context.getStore();
        }),
      ),
    ),
  );
  expect(seen).toEqual(names);
});

test('clearing the queue refuses every waiting call and leaves the running one alone', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, clock });
  const work = gate();
  const running = bulkhead.execute(() => work.promise);
  const waiting = [failureOf(bulkhead.acquire()), failureOf(bulkhead.acquire({ priority: 'low' }))];
  bulkhead.clear();
  for (const refusal of await Promise.all(waiting)) {
    expect(refusal).toBeInstanceOf(BulkheadClearedError);
  }
  expect(clock.pendingTimers).toBe(0);
  work.resolve();
  await running;
  expect(await bulkhead.execute(() => 'open still')).toBe('open still');
});

test('close refuses waiting and later calls; closing twice is harmless', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  bulkhead.tryAcquire();
  const waiting = failureOf(bulkhead.acquire());
  await bulkhead.close();
  await bulkhead[Symbol.asyncDispose]();
  expect(await waiting).toMatchObject({ code: 'RESILIENCE_BULKHEAD_CLOSED', retryable: false });
  expect(await failureOf(bulkhead.execute(() => 1))).toBeInstanceOf(BulkheadClosedError);
  expect(bulkhead.tryAcquire()).toBeUndefined();
});

test('waiting calls are served by priority, and in the order they came within one', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  const release = bulkhead.tryAcquire();
  const order: string[] = [];
  const calls = (['low', 'normal', 'high', 'low', 'high', 'normal'] as const).map(
    (priority, index) =>
      bulkhead.execute(() => void order.push(`${priority} ${index}`), { priority }),
  );
  release?.();
  await Promise.all(calls);
  expect(order).toEqual(['high 2', 'high 4', 'normal 1', 'normal 5', 'low 0', 'low 3']);
});

test('a full queue admits an urgent call and sheds the last of the least urgent', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 3 });
  const release = bulkhead.tryAcquire();
  const order: string[] = [];
  const normal = bulkhead.execute(() => void order.push('normal'));
  const low = bulkhead.execute(() => void order.push('low'), { priority: 'low' });
  const lastLow = failureOf(bulkhead.acquire({ priority: 'low' }));
  const high = bulkhead.execute(() => void order.push('high'), { priority: 'high' });
  expect(await lastLow).toBeInstanceOf(BulkheadFullError);
  // Nobody waiting is less urgent than a low call, so it finds the queue full.
  expect(await failureOf(bulkhead.acquire({ priority: 'low' }))).toBeInstanceOf(BulkheadFullError);
  expect(bulkhead.getStats()).toMatchObject({ queuedCount: 3, rejectedCount: 2 });
  release?.();
  await Promise.all([normal, low, high]);
  expect(order).toEqual(['high', 'normal', 'low']);
});

test('a full queue of equals refuses a new call, whatever its priority', async () => {
  for (const priority of ['high', 'normal', 'low'] as const) {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 1 });
    const release = bulkhead.tryAcquire();
    const waiting = bulkhead.execute(() => 'kept', { priority });
    const newcomer = failureOf(bulkhead.acquire({ priority }));
    expect(await newcomer).toBeInstanceOf(BulkheadFullError);
    release?.();
    expect(await waiting).toBe('kept');
  }
});

test('avgExecutionMs follows how long slots are held', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ clock });
  const first = bulkhead.tryAcquire();
  await clock.advance(100);
  first?.();
  expect(bulkhead.getStats().avgExecutionMs).toBe(100);
  const second = bulkhead.tryAcquire();
  await clock.advance(200);
  second?.();
  expect(bulkhead.getStats().avgExecutionMs).toBeCloseTo(110);
});

test('a throwing listener does not fail the caller’s call', async () => {
  const bulkhead = createBulkhead({ name: 'b', maxConcurrent: 1, maxQueueSize: 0 });
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const heard: unknown[] = [];
  bulkhead.on('rejected', (event) => {
    heard.push(event);
    throw new Error('bad listener');
  });
  bulkhead.tryAcquire();
  expect(await failureOf(bulkhead.acquire())).toBeInstanceOf(BulkheadFullError);
  expect(heard).toEqual([{ name: 'b', reason: 'full' }]);
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('bad listener'));
  warn.mockRestore();
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 100, clock });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 100 }, () => bulkhead.execute(() => 1, { signal })));
  const release = bulkhead.tryAcquire();
  const refused = Array.from({ length: 50 }, () => failureOf(bulkhead.acquire({ signal })));
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  await clock.advance(5_000);
  await Promise.all(refused);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  release?.();
});

test('a step of the wall clock changes neither queue timeout nor average', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ maxConcurrent: 1, queueTimeoutMs: 1_000, clock });
  const release = bulkhead.tryAcquire();
  const waiting = bulkhead.execute(() => 'served');
  clock.stepWallClock(3_600_000);
  await clock.advance(999);
  clock.stepWallClock(-7_200_000);
  release?.();
  expect(await waiting).toBe('served');
  expect(bulkhead.getStats()).toMatchObject({ timedOutCount: 0 });
  expect(bulkhead.getStats().avgExecutionMs).toBeCloseTo(999 * 0.9, 0);
});

test('options out of range, of the wrong type or unknown are refused when the bulkhead is made', () => {
  const refused: readonly [string, object][] = [
    ['maxConcurrent', { maxConcurrent: 0 }],
    ['maxConcurrent', { maxConcurrent: 1.5 }],
    ['maxConcurrent', { maxConcurrent: NaN }],
    ['maxConcurrent', { maxConcurrent: '5' }],
    ['maxConcurrent', { maxConcurrent: 1_000_001 }],
    ['maxQueueSize', { maxQueueSize: -1 }],
    ['maxQueueSize', { maxQueueSize: Infinity }],
    ['queueTimeoutMs', { queueTimeoutMs: 0 }],
    ['name', { name: '' }],
    ['clock', { clock: {} }],
    ['maxQueue', { maxQueue: 1 }],
  ];
  for (const [field, options] of refused) {
    const make = (given: BulkheadOptions) => () => createBulkhead(given);
    expect(make(options)).toThrow(InvalidOptionError);
    expect(make(options)).toThrow(expect.objectContaining({ field }));
  }
});

test('an unknown priority is refused before anything is queued', async () => {
  const bulkhead = createBulkhead({ maxConcurrent: 1 });
  bulkhead.tryAcquire();
  const given: object = { priority: 'urgent' };
  expect(await failureOf(bulkhead.acquire(given))).toBeInstanceOf(InvalidOptionError);
  expect(bulkhead.getStats().queuedCount).toBe(0);
});
