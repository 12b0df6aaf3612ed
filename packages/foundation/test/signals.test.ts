import { getEventListeners } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import {
  type AbortListener,
  abortable,
  addAbortListener,
  removeAbortListener,
  onAbort as callOnAbort,
} from '../src/signals.ts';

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

test('abortable settles like its work, and leaves no listener', async () => {
  const { signal } = new AbortController();
  expect(await abortable(Promise.resolve('done'), signal)).toBe('done');
  const broken = new Error('broken');
  await expect(abortable(Promise.reject(broken), signal)).rejects.toBe(broken);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('abortable rejects with the reason of its signal at once, also if it has aborted before', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const calls: string[] = [];
  const work = abortable(new Promise(() => {}), controller.signal, () => calls.push('aborted'));
  controller.abort(reason);
  await expect(work).rejects.toBe(reason);
  expect(calls).toEqual(['aborted']);
  const late = Promise.reject(new Error('fails later'));
  await expect(abortable(late, controller.signal)).rejects.toBe(reason);
});

test('one signal that is listened to again and again has no listener in between, and reaches the last', () => {
  const controller = new AbortController();
  const { signal } = controller;
  for (let use = 0; use < 50; use += 1) {
    const release = callOnAbort(signal, () => undefined);
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
    release();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  }
  const reasons: unknown[] = [];
  callOnAbort(signal, () => reasons.push(signal.reason));
  callOnAbort(signal, () => reasons.push('second'));
  controller.abort('over');
  expect(reasons).toEqual(['over', 'second']);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('a signal that is not the platform’s is listened to as often as one likes', () => {
  const added = new Set<(event: Event) => void>();
  const foreign: AbortSignal = Object.assign(Object.create(null), {
    aborted: false,
    reason: 'foreign',
    addEventListener: (_type: string, call: (event: Event) => void) => added.add(call),
    removeEventListener: (_type: string, call: (event: Event) => void) => added.delete(call),
  });
  for (let use = 0; use < 20; use += 1) {
    const release = callOnAbort(foreign, () => undefined);
    expect(added.size).toBe(1);
    release();
    expect(added.size).toBe(0);
  }
  const heard: string[] = [];
  callOnAbort(foreign, () => heard.push('aborted'));
  const event: Event = Object.assign(Object.create(null), { target: foreign });
  for (const call of added) call(event);
  expect(heard).toEqual(['aborted']);
});

test('a signal that has aborted already calls no listener of onAbort', () => {
  const uncalled = jest.fn();
  callOnAbort(AbortSignal.abort(), uncalled)();
  callOnAbort(undefined, uncalled)();
  expect(uncalled).not.toHaveBeenCalled();
});
