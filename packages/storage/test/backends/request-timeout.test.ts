import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { startRequestTimeout } from '../../src/backends/request-timeout.ts';

test('an abort ends every request of the signal, and their ends leave no listener', () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const limits = Array.from({ length: 3 }, () =>
    startRequestTimeout(clock, 1_000, controller.signal),
  );
  limits[0]?.end();
  const reason = new Error('enough');
  controller.abort(reason);
  expect(limits.map(({ signal }) => signal.aborted)).toEqual([false, true, true]);
  expect(limits[1]?.signal.reason).toBe(reason);
  for (const limit of limits) limit.end();
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  expect(startRequestTimeout(clock, 1_000, controller.signal).signal.reason).toBe(reason);
});

test('an abort reaches every request, also when the first of them ends the second', () => {
  const controller = new AbortController();
  const [first, second, third] = Array.from({ length: 3 }, () =>
    startRequestTimeout(createFakeClock(), 1_000, controller.signal),
  );
  first?.signal.addEventListener('abort', () => second?.end());
  controller.abort();
  expect(second?.signal.aborted).toBe(false);
  expect(third?.signal.aborted).toBe(true);
});

test('however many requests use a signal, it has one listener, and none after the last of them', () => {
  const clock = createFakeClock();
  const { signal } = new AbortController();
  const limits = Array.from({ length: 100 }, () => startRequestTimeout(clock, 1_000, signal));
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  for (const limit of limits) limit.end();
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  const again = startRequestTimeout(clock, 1_000, signal);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  again.end();
});
