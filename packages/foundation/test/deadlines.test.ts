import { expect, test } from '@jest/globals';
import { CallDeadline, DeadlineQueue, settlesWithin, withDeadline } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

test('withDeadline settles like its work, and leaves no timer', async () => {
  const clock = createFakeClock();
  const late = (): Error => new Error('late');
  expect(await withDeadline(clock, 100, undefined, late, async () => 'done')).toBe('done');
  expect(clock.pendingTimers).toBe(0);
});

test('withDeadline aborts its work with the error of the caller when the time has passed', async () => {
  const clock = createFakeClock();
  const late = new Error('late');
  await expect(clock.settle(withDeadline(clock, 100, undefined, () => late, never))).rejects.toBe(
    late,
  );
  expect(clock.now()).toBe(100);
});

test('withDeadline aborts its work with the reason of the caller’s signal', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const reason = new Error('enough');
  const call = withDeadline(clock, 100, controller.signal, () => new Error('late'), never);
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(clock.pendingTimers).toBe(0);
});

test('settlesWithin is true for a rejection in time, and false for a promise that takes longer', async () => {
  const clock = createFakeClock();
  expect(await settlesWithin(clock, 100, Promise.reject(new Error('failed')))).toBe(true);
  expect(await clock.settle(settlesWithin(clock, 100, new Promise(() => {})))).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test('a call deadline cancels the current stage once, when its time has passed', async () => {
  const clock = createFakeClock();
  const deadline = new CallDeadline(clock, 100);
  const seen: unknown[] = [];
  deadline.current = { cancel: (cancellation) => void seen.push(cancellation) };
  expect(deadline.remainingMs()).toBe(100);
  await clock.advance(1_000);
  expect(seen).toEqual([{ kind: 'deadline' }]);
  expect(deadline.cancellation).toEqual({ kind: 'deadline' });
  expect(deadline.remainingMs()).toBe(0);
});

test('a call deadline is canceled by the first of its signals to abort', () => {
  const clock = createFakeClock();
  const [caller, owner] = [new AbortController(), new AbortController()];
  const deadline = new CallDeadline(clock, 100, [caller.signal, owner.signal]);
  const seen: unknown[] = [];
  deadline.current = { cancel: (cancellation) => void seen.push(cancellation) };
  owner.abort('closing');
  caller.abort('too late');
  expect(seen).toEqual([{ kind: 'signal', reason: 'closing' }]);
  expect(clock.pendingTimers).toBe(0);
});

test('a call deadline with an aborted signal is canceled from the start', () => {
  const clock = createFakeClock();
  const deadline = new CallDeadline(clock, 100, [AbortSignal.abort('enough')]);
  expect(deadline.cancellation).toEqual({ kind: 'signal', reason: 'enough' });
  expect(clock.pendingTimers).toBe(0);
});

test('a released call deadline leaves no timer and is not canceled any more', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const deadline = new CallDeadline(clock, 100, [controller.signal]);
  let canceled = 0;
  deadline.current = { cancel: () => void (canceled += 1) };
  deadline.release();
  controller.abort();
  await clock.advance(1_000);
  expect(canceled).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test('the deadlines of a queue share one timer, and each expires at its own time unless it was removed', async () => {
  const clock = createFakeClock();
  const queue = new DeadlineQueue(clock, 100);
  const expired: [string, number][] = [];
  const add = (name: string): CallDeadline => {
    const deadline = new CallDeadline(clock, 100, [], queue);
    deadline.current = { cancel: () => void expired.push([name, clock.now()]) };
    return deadline;
  };
  add('first');
  await clock.advance(30);
  const removed = add('removed');
  await clock.advance(30);
  add('last');
  expect(clock.pendingTimers).toBe(1);
  removed.release();
  await clock.advance(1_000);
  expect(expired).toEqual([
    ['first', 100],
    ['last', 160],
  ]);
  expect(clock.pendingTimers).toBe(0);
});
