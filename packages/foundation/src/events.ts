import { channel } from 'node:diagnostics_channel';

/** Listens to one kind of event; the returned function stops listening. */
export type Subscribe<Events> = <Kind extends keyof Events & string>(
  kind: Kind,
  listener: (event: Events[Kind]) => void,
) => () => void;

/**
 * Announces an owner's events to its `on()` listeners and on `node:diagnostics_channel` as
 * `<prefix>:<kind>`. A listener that throws is nobody's problem but its own: the error is reported by
 * `process.emitWarning` and never reaches the code that announced.
 */
export interface Emitter<Events> {
  readonly on: Subscribe<Events>;
  emit<Kind extends keyof Events & string>(kind: Kind, event: Events[Kind]): void;
  /** Whether anybody would hear it; lets a hot path skip building the event. */
  hasListeners(kind: keyof Events & string): boolean;
}

/** @param prefix what the channels' names begin with, such as `holdfast:queue`. */
export function createEmitter<Events>(prefix: string): Emitter<Events> {
  const listeners: { [Kind in keyof Events]?: Set<(event: Events[Kind]) => void> } = {};
  return {
    on(kind, listener) {
      const heard = (listeners[kind] ??= new Set());
      heard.add(listener);
      return () => void heard.delete(listener);
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
 * Resolves with the next event of that kind for which `matches` holds; for waiting on moments instead of
 * milliseconds. Rejects with the signal's own reason.
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
    const onAbort = (): void => {
      stop();
      reject(signal?.reason);
    };
    const stop = source.on(kind, (event) => {
      if (matches !== undefined && !matches(event)) return;
      stop();
      signal?.removeEventListener('abort', onAbort);
      resolve(event);
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
