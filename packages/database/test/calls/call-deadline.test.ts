import { expect, test } from '@jest/globals';
import { type Clock, DeadlineQueue, CallDeadline } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { startDeadline } from '../../src/calls/call-deadline.ts';
import { WaitQueue } from '../../src/pool/wait-queue.ts';

const FALLBACK_MS = 100;

test('calls with the common timeout share one timer, and each ends at its own deadline', async () => {
  const clock = createFakeClock();
  const bounds = {
    clock,
    fallbackMs: FALLBACK_MS,
    deadlines: new DeadlineQueue(clock, FALLBACK_MS),
  };
  const over: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    const deadline = startDeadline('test', undefined, bounds);
    deadline.current = { cancel: ({ kind }) => void over.push(`${name} by ${kind}`) };
    await clock.advance(10);
  }
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(70);
  expect(over).toEqual(['first by deadline']);
  await clock.advance(10);
  expect(over).toEqual(['first by deadline', 'second by deadline']);
  await clock.advance(10);
  expect(over).toHaveLength(3);
  expect(clock.pendingTimers).toBe(0);
});

test('a released call is never interrupted, and the last one leaves no timer for longer than its timeout', async () => {
  const clock = createFakeClock();
  const bounds = {
    clock,
    fallbackMs: FALLBACK_MS,
    deadlines: new DeadlineQueue(clock, FALLBACK_MS),
  };
  let interrupted = 0;
  const deadline = startDeadline('test', undefined, bounds);
  deadline.current = { cancel: () => void (interrupted += 1) };
  deadline.release();
  await clock.advance(FALLBACK_MS);
  expect(interrupted).toBe(0);
  expect(deadline.cancellation).toBeUndefined();
  expect(clock.pendingTimers).toBe(0);
});

test('a call with its own timeout ends by that, and leaves no timer', async () => {
  const clock = createFakeClock();
  const bounds = {
    clock,
    fallbackMs: FALLBACK_MS,
    deadlines: new DeadlineQueue(clock, FALLBACK_MS),
  };
  const short = startDeadline('test', { timeoutMs: 20 }, bounds);
  const long = startDeadline('test', { timeoutMs: 500 }, bounds);
  await clock.advance(20);
  expect([short.cancellation, long.cancellation]).toEqual([{ kind: 'deadline' }, undefined]);
  long.release();
  expect(clock.pendingTimers).toBe(0);
});

test('a signal ends a call that shares its timer, with the reason of the signal', async () => {
  const clock = createFakeClock();
  const bounds = {
    clock,
    fallbackMs: FALLBACK_MS,
    deadlines: new DeadlineQueue(clock, FALLBACK_MS),
  };
  const caller = new AbortController();
  const deadline = startDeadline('test', { signal: caller.signal }, bounds);
  const over: unknown[] = [];
  deadline.current = { cancel: (by) => void over.push(by) };
  caller.abort('enough');
  await clock.advance(FALLBACK_MS);
  expect(over).toEqual([{ kind: 'signal', reason: 'enough' }]);
  expect(clock.pendingTimers).toBe(0);
});

test('a caller that waits in a queue keeps the process alive by a timer, although the shared one does not', async () => {
  const fake = createFakeClock();
  const holding: boolean[] = [];
  const clock: Clock = {
    now: () => fake.now(),
    epochMs: () => fake.epochMs(),
    schedule(delayMs, callback, options) {
      holding.push(options?.holdsProcess ?? true);
      return fake.schedule(delayMs, callback, options);
    },
  };
  const deadlines = new DeadlineQueue(clock, FALLBACK_MS);
  const queue = new WaitQueue(clock, () => new Error('no primary'));
  const deadline = new CallDeadline(clock, FALLBACK_MS, undefined, deadlines);
  const waiting = queue.wait(deadline, clock.now(), FALLBACK_MS);
  expect(holding).toEqual([false, true]);
  const [settled] = await Promise.allSettled([waiting, fake.advance(FALLBACK_MS)]);
  expect(settled).toMatchObject({ status: 'rejected', reason: { message: 'no primary' } });
  expect(fake.pendingTimers).toBe(0);
});

test('the signal of a deadline aborts by time with a TimeoutError, else with the reason of the caller', async () => {
  const clock = createFakeClock();
  const byTime = new CallDeadline(clock, 20).signal;
  const caller = new AbortController();
  const deadline = new CallDeadline(clock, 500, [caller.signal]);
  const byCaller = deadline.signal;
  const released = new CallDeadline(clock, 500);
  released.release();
  await clock.advance(20);
  expect(byTime.reason).toMatchObject({ name: 'TimeoutError' });
  expect(byCaller.aborted).toBe(false);
  caller.abort('enough');
  expect(byCaller.reason).toBe('enough');
  expect(new CallDeadline(clock, 500, [caller.signal]).signal.reason).toBe('enough');
  await clock.advance(500);
  expect(released.signal.aborted).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});
