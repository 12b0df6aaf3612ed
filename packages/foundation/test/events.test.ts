import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getEventListeners } from 'node:events';
import { afterEach, expect, jest, test } from '@jest/globals';
import { type EventKinds, createEmitter, nextEvent } from '@holdfast/foundation';

interface Events {
  opened: { id: number };
  closed: { id: number };
}

const kinds: EventKinds<Events> = { opened: true, closed: true };

afterEach(() => {
  jest.restoreAllMocks();
});

test('a listener gets events of its kind until it is removed; removing twice is harmless', () => {
  const announcer = createEmitter<Events>('holdfast:test', kinds);
  const heard: number[] = [];
  const stop = announcer.on('opened', ({ id }) => heard.push(id));
  announcer.emit('opened', { id: 1 });
  announcer.emit('closed', { id: 2 });
  stop();
  stop();
  announcer.emit('opened', { id: 3 });
  expect(heard).toEqual([1]);
});

test('a listener that throws is reported as a warning and keeps nobody from hearing', () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const announcer = createEmitter<Events>('holdfast:test', kinds);
  const heard: number[] = [];
  announcer.on('opened', () => {
    throw new Error('broken');
  });
  announcer.on('opened', ({ id }) => heard.push(id));
  announcer.emit('opened', { id: 1 });
  expect(heard).toEqual([1]);
  expect(warned).toHaveBeenCalledWith('a listener of holdfast:test:opened threw: Error: broken');
});

test('an event is published on the diagnostics channel of its prefix and kind', () => {
  const announcer = createEmitter<Events>('holdfast:test-channel', kinds);
  const published: unknown[] = [];
  const listener = (event: unknown): void => void published.push(event);
  subscribe('holdfast:test-channel:opened', listener);
  try {
    expect(announcer.hasListeners('opened')).toBe(true);
    announcer.emit('opened', { id: 1 });
  } finally {
    unsubscribe('holdfast:test-channel:opened', listener);
  }
  expect(announcer.hasListeners('opened')).toBe(false);
  expect(published).toEqual([{ id: 1 }]);
});

test('hasListeners tells whether an event would reach a listener', () => {
  const announcer = createEmitter<Events>('holdfast:test-heard', kinds);
  expect(announcer.hasListeners('opened')).toBe(false);
  const stop = announcer.on('opened', () => undefined);
  expect([announcer.hasListeners('opened'), announcer.hasListeners('closed')]).toEqual([
    true,
    false,
  ]);
  stop();
  expect(announcer.hasListeners('opened')).toBe(false);
});

test('nextEvent resolves with the first matching event, and removes its listener', async () => {
  const announcer = createEmitter<Events>('holdfast:test-next', kinds);
  const { signal } = new AbortController();
  const next = nextEvent(announcer, 'opened', { matches: ({ id }) => id > 1, signal });
  announcer.emit('opened', { id: 1 });
  announcer.emit('opened', { id: 2 });
  expect(await next).toEqual({ id: 2 });
  expect(announcer.hasListeners('opened')).toBe(false);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('an abort ends the wait for an event with the signal’s own reason', async () => {
  const announcer = createEmitter<Events>('holdfast:test-abort', kinds);
  const controller = new AbortController();
  const next = nextEvent(announcer, 'opened', { signal: controller.signal });
  controller.abort('enough');
  await expect(next).rejects.toBe('enough');
  expect(announcer.hasListeners('opened')).toBe(false);
  const late = nextEvent(announcer, 'opened', { signal: AbortSignal.abort('before') });
  await expect(late).rejects.toBe('before');
});

test.each([
  ['a kind that is never emitted', 'nope', () => undefined, 'kind', '"opened", "closed"'],
  ['a kind of every object', 'toString', () => undefined, 'kind', '"opened", "closed"'],
  ['no kind', undefined, () => undefined, 'kind', '"opened", "closed"'],
  ['no listener', 'opened', undefined, 'listener', 'a function'],
  ['a listener that is an object', 'opened', { handleEvent: () => undefined }, 'listener', ''],
])(
  'a listener of %s is refused, and what is permitted is named',
  (_, kind, listener, field, permitted) => {
    const emitter = createEmitter<Events>('holdfast:test', kinds);
    expect(() => Reflect.apply(emitter.on, undefined, [kind, listener])).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        field,
        message: expect.stringContaining(permitted),
      }),
    );
  },
);
