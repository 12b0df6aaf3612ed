import { channel } from 'node:diagnostics_channel';
import { callSafely } from './callbacks.ts';
import { InvalidOptionError, describeValue } from './errors/errors.ts';
import { onAbort } from './signals.ts';

/**
 * Adds a listener for one kind of event; the returned function removes it.
 * @throws InvalidOptionError for a kind that is never emitted, and a listener that is no function.
 */
export type Subscribe<Events> = <Kind extends keyof Events & string>(
  kind: Kind,
  listener: (event: Events[Kind]) => unknown,
) => () => void;

/**
 * Emits the events of one owner to its `on()` listeners, and on `node:diagnostics_channel` as
 * `<prefix>:<kind>`. An error that a listener throws, or with which its promise rejects, is reported by
 * `process.emitWarning`; it never reaches the code that emitted the event.
 */
export interface Emitter<Events> {
  readonly on: Subscribe<Events>;
  emit<Kind extends keyof Events & string>(kind: Kind, event: Events[Kind]): void;
  /** Whether the event has a listener or subscriber; a hot path need not create an event without. */
  hasListeners(kind: keyof Events & string): boolean;
}

/** Every kind of event by name, because types are gone when a listener is added. */
export type EventKinds<Events> = { readonly [Kind in keyof Events & string]: true };

/**
 * An emitter of the given kinds, which also publishes each event on the diagnostics channel of its prefix and kind.
 * @param prefix the first part of the channels' names, such as `holdfast:queue`.
 */
export function createEmitter<Events>(prefix: string, kinds: EventKinds<Events>): Emitter<Events> {
  const listeners: { [Kind in keyof Events]?: Set<(event: Events[Kind]) => unknown> } = {};
  return {
    on(kind, listener) {
      checkListener(kinds, kind, listener);
      const added = (listeners[kind] ??= new Set());
      added.add(listener);
      return () => void added.delete(listener);
    },
    emit(kind, event) {
      const published = channel(`${prefix}:${kind}`);
      if (published.hasSubscribers) published.publish(event);
      for (const listener of listeners[kind] ?? []) {
        callSafely(`a listener of ${prefix}:${kind}`, listener, event);
      }
    },
    hasListeners: (kind) =>
      (listeners[kind]?.size ?? 0) > 0 || channel(`${prefix}:${kind}`).hasSubscribers,
  };
}

function checkListener(kinds: object, kind: unknown, listener: unknown): void {
  if (typeof kind !== 'string' || !Object.hasOwn(kinds, kind)) {
    const known = Object.keys(kinds).map((each) => describeValue(each));
    throw new InvalidOptionError('on', 'kind', kind, `one of ${known.join(', ')}`);
  }
  if (typeof listener === 'function') return;
  throw new InvalidOptionError('on', 'listener', listener, 'a function');
}

/**
 * Resolves with the next event of the kind for which `matches` returns true, so that a test can wait for events
 * instead of milliseconds. Rejects with the signal's own reason.
 */
export function nextEvent<Events, Kind extends keyof Events & string>(
  source: { on: Subscribe<Events> },
  kind: Kind,
  options: { matches?: (event: Events[Kind]) => boolean; signal?: AbortSignal } = {},
): Promise<Events[Kind]> {
  const { matches, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const release = onAbort(signal, () => {
      stop();
      reject(signal?.reason);
    });
    const stop = source.on(kind, (event) => {
      if (matches !== undefined && !matches(event)) return;
      stop();
      release();
      resolve(event);
    });
  });
}
