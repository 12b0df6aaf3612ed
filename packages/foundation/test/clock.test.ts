import { getEventListeners } from 'node:events';
import { afterEach, expect, jest, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

const HOST_TIMER_MAX_MS = 2_147_483_647;
const DAY_MS = 86_400_000;

afterEach(() => {
  jest.useRealTimers();
});

test('the system clock honours a delay the host’s timers would fire at once', async () => {
  jest.useFakeTimers();
  const fired = jest.fn();
  systemClock.schedule(30 * DAY_MS, fired);
  jest.advanceTimersByTime(30 * DAY_MS - 1);
  expect(fired).not.toHaveBeenCalled();
  jest.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledTimes(1);
});

test('a long delay can be cancelled in any of its hops, and leaves no timer', () => {
  jest.useFakeTimers();
  const fired = jest.fn();
  const timer = systemClock.schedule(2 * HOST_TIMER_MAX_MS + 10, fired);
  jest.advanceTimersByTime(HOST_TIMER_MAX_MS + 1);
  timer.cancel();
  timer.cancel();
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(3 * HOST_TIMER_MAX_MS);
  expect(fired).not.toHaveBeenCalled();
});

test('a negative delay counts as 0', () => {
  jest.useFakeTimers();
  const fired = jest.fn();
  systemClock.schedule(-5, fired);
  jest.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledTimes(1);
});

test('a timer holds the process unless holdsProcess is false', () => {
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const count = (): number =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length - timers;
  const loose = systemClock.schedule(60_000, () => undefined, { holdsProcess: false });
  expect(count()).toBe(0);
  const tight = systemClock.schedule(60_000, () => undefined);
  expect(count()).toBe(1);
  loose.cancel();
  tight.cancel();
  expect(count()).toBe(0);
});

test('the monotonic reading never runs backwards, and the wall reading is the epoch’s', () => {
  const before = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  expect(Math.abs(systemClock.epochMs() - Date.now())).toBeLessThan(1_000);
});

test('a sleep resolves after its delay and leaves no listener on its signal', async () => {
  const clock = createFakeClock();
  const { signal } = new AbortController();
  const woken = jest.fn();
  const sleeping = sleep(clock, 100, signal).then(woken);
  await clock.advance(99);
  expect(woken).not.toHaveBeenCalled();
  await clock.advance(1);
  await sleeping;
  expect(woken).toHaveBeenCalledTimes(1);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('an abort ends a sleep at once with the signal’s own reason, and leaves no timer', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const sleeping = sleep(clock, 100, controller.signal);
  controller.abort('wake up');
  await expect(sleeping).rejects.toBe('wake up');
  expect(clock.pendingTimers).toBe(0);
});

test('a sleep with an aborted signal rejects at once', async () => {
  const clock = createFakeClock();
  await expect(sleep(clock, 100, AbortSignal.abort('never'))).rejects.toBe('never');
  expect(clock.pendingTimers).toBe(0);
});
