import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { type AbortListener, addAbortListener, removeAbortListener } from '../src/signals.ts';

function listener(onAbort: (reason: unknown) => void): AbortListener {
  return { onAbort, list: undefined, previous: undefined, next: undefined };
}

function listeners(count: number, reasons: unknown[]): AbortListener[] {
  return Array.from({ length: count }, () => listener((reason) => reasons.push(reason)));
}

test('an abort calls every listener once, with the reason of the signal', () => {
  const controller = new AbortController();
  const reasons: unknown[] = [];
  const removed = listener(() => reasons.push('removed'));
  const called = listeners(2, reasons);
  for (const one of [removed, ...called]) addAbortListener(controller.signal, one);
  removeAbortListener(controller.signal, removed);
  const reason = new Error('enough');
  controller.abort(reason);
  expect(reasons).toEqual([reason, reason]);
  for (const one of called) removeAbortListener(controller.signal, one);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});

test('a listener of a signal that has aborted is called at once', () => {
  const reasons: unknown[] = [];
  addAbortListener(
    AbortSignal.abort('over'),
    listener((reason) => reasons.push(reason)),
  );
  expect(reasons).toEqual(['over']);
});

test('an abort reaches every listener, also when the first of them removes the second', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const second = listener(() => called.push('second'));
  const first = listener(() => {
    called.push('first');
    removeAbortListener(signal, second);
  });
  const third = listener(() => called.push('third'));
  for (const one of [first, second, third]) addAbortListener(signal, one);
  controller.abort();
  expect(called).toEqual(['first', 'third']);
});

test('however many listeners a signal has, the platform knows one, and none after the last is removed', () => {
  const { signal } = new AbortController();
  const many = listeners(100, []);
  for (const one of many) addAbortListener(signal, one);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  for (const one of many) removeAbortListener(signal, one);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  for (const one of many) addAbortListener(signal, one);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
});
