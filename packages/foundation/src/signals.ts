import { LinkedList, type ListNode } from './lists/linked-list.ts';

/** Calls `listener` when the signal aborts; returns a function that removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  signal?.addEventListener('abort', listener, { once: true });
  return () => signal?.removeEventListener('abort', listener);
}

/**
 * Settles like `work`, or rejects with the signal's own reason as soon as it aborts; `work` itself continues.
 * No listener remains when it has settled.
 * @param onAborted called after the rejection, unless the signal had aborted before this call.
 */
export function abortable<T>(
  work: Promise<T>,
  signal: AbortSignal,
  onAborted?: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      // The work may still fail later, when no one handles its rejection.
      work.catch(() => {});
      reject(signal.reason);
      return;
    }
    const release = onAbort(signal, () => {
      reject(signal.reason);
      onAborted?.();
    });
    work.then(
      (value) => {
        release();
        resolve(value);
      },
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}

/** A node in the list of listeners of one signal. */
export interface AbortListener extends ListNode {
  /** Called once, with the signal's reason. */
  onAbort(reason: unknown): void;
}

interface Listeners {
  readonly list: LinkedList<AbortListener>;
  readonly notify: () => void;
}

const listenersOf = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `listener.onAbort` once when the signal aborts, at once if it has aborted already. However many
 * listeners a signal has here, it has one of the platform's: adding one of those searches all that the signal
 * has, which ten thousand calls with one signal would feel. Adding and removing are O(1).
 */
export function addAbortListener(signal: AbortSignal, listener: AbortListener): void {
  if (signal.aborted) {
    listener.onAbort(signal.reason);
    return;
  }
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) {
    const list = new LinkedList<AbortListener>();
    const notify = (): void => {
      // A listener may remove others.
      for (let next = list.shift(); next !== undefined; next = list.shift()) {
        next.onAbort(signal.reason);
      }
    };
    listeners = { list, notify };
    listenersOf.set(signal, listeners);
    signal.addEventListener('abort', notify, { once: true });
  }
  listeners.list.append(listener);
}

/** Does nothing for a listener that was called or removed. */
export function removeAbortListener(signal: AbortSignal, listener: AbortListener): void {
  const listeners = listenersOf.get(signal);
  if (listeners?.list.remove(listener) !== true || listeners.list.size > 0) return;
  listenersOf.delete(signal);
  signal.removeEventListener('abort', listeners.notify);
}
