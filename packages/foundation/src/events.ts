import { channel } from 'node:diagnostics_channel';
import { onAbort } from './signals.ts';

/** Adds a listener for one kind of event; the returned function removes it. */
export type Subscribe<Events> = <Kind extends keyof Events & string>(
  kind: Kind,
  listener: (event: Events[Kind]) => void,
) => () => void;

/**
 * Emits the events of one owner to its `on()` listeners, and on `node:diagnostics_channel` as
 * `<prefix>:<kind>`. An error that a listener throws is reported by `process.emitWarning`; it never reaches the
 * code that emitted the event.
 */
export interface Emitter<Events> {
  readonly on: Subscribe<Events>;
  emit<Kind extends keyof Events & string>(kind: Kind, event: Events[Kind]): void;
  /** Whether the event has a listener or subscriber; a hot path need not create an event without. */
  hasListeners(kind: keyof Events & string): boolean;
}

/** @param prefix the first part of the channels' names, such as `holdfast:queue`. */
export function createEmitter<Events>(prefix: string): Emitter<Events> {
  const listeners: { [Kind in keyof Events]?: Set<(event: Events[Kind]) => void> } = {};
  return {
    on(kind, listener) {
      const added = (listeners[kind] ??= new Set());
      added.add(listener);
      return () => void added.delete(listener);
    },
    emit(kind, event) {
      const published = channel(`${prefix}:${kind}`);
      if (published.hasSubscribers) published.publish(event);
      for (const listener of listeners[kind] ?? []) {
        try {
          listener(event);
        } catch (error) {
          process.emitWarning(`a listener of ${prefix}:${kind} threw: ${String(error)}`);
        }
      }
    },
    hasListeners: (kind) =>
      (listeners[kind]?.size ?? 0) > 0 || channel(`${prefix}:${kind}`).hasSubscribers,
  };
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
