import { LinkedList, ListNode } from './lists/linked-list.ts';

/**
 * Calls `listener` once when the signal aborts, never if it has aborted already; returns a function that removes the
 * listener. As cheap with ten thousand listeners as with one: see {@link addAbortListener}.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined || signal.aborted) return nothing;
  const added = new FunctionListener(listener);
  addAbortListener(signal, added);
  return () => removeAbortListener(signal, added);
}

const nothing = (): void => {};

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

class FunctionListener extends ListNode implements AbortListener {
  readonly #listener: () => void;

  constructor(listener: () => void) {
    super();
    this.#listener = listener;
  }

  onAbort(): void {
    this.#listener();
  }
}

/** How often a signal is listened to one call after the other before a signal that follows it takes over. */
const USES_BEFORE_FOLLOWER = 8;

/**
 * The listeners of one signal, for which the signal itself has at most one. It refers to no signal that it could keep
 * alive.
 */
class Listeners {
  readonly #list = new LinkedList<AbortListener>();
  readonly #notify = (event: Event): void => {
    const { target } = event;
    target?.removeEventListener('abort', this.#notify);
    this.#notifyAll(target === null ? undefined : Reflect.get(target, 'reason'));
  };
  #uses = 0;
  /**
   * Follows a signal that serves many calls one after the other, such as that of a shutdown: adding the platform's
   * listener and removing it would cost each of them as much as half of a whole stack of policies.
   */
  #follower: AbortSignal | undefined;

  add(signal: AbortSignal, listener: AbortListener): void {
    if (this.#list.size === 0 && this.#follower === undefined) this.#listen(signal);
    this.#list.append(listener);
  }

  remove(signal: AbortSignal, listener: AbortListener): void {
    if (!this.#list.remove(listener) || this.#list.size > 0 || this.#follower !== undefined) return;
    signal.removeEventListener('abort', this.#notify);
  }

  #listen(signal: AbortSignal): void {
    this.#uses += 1;
    if (this.#uses > USES_BEFORE_FOLLOWER) this.#follower = followerOf(signal);
    (this.#follower ?? signal).addEventListener('abort', this.#notify);
  }

  #notifyAll(reason: unknown): void {
    // A listener may remove others.
    for (let next = this.#list.shift(); next !== undefined; next = this.#list.shift()) {
      try {
        next.onAbort(reason);
      } catch (error) {
        // As the platform does with a listener that throws: the others are called nevertheless.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}

/** The platform holds it only as long as the signal lives; `undefined` for a signal that is not the platform's. */
function followerOf(signal: AbortSignal): AbortSignal | undefined {
  // Node 22 takes any object, and then never hears of it.
  return signal instanceof AbortSignal ? AbortSignal.any([signal]) : undefined;
}

const listenersOf = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `listener.onAbort` once when the signal aborts, at once if it has aborted already. However many
 * listeners a signal has here, it has one of the platform's: adding one of those searches all that the signal
 * has, which ten thousand calls with one signal would feel. Adding and removing are O(1), and the signal has no listener
 * when the last one has been removed.
 */
export function addAbortListener(signal: AbortSignal, listener: AbortListener): void {
  if (signal.aborted) {
    listener.onAbort(signal.reason);
    return;
  }
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) {
    listeners = new Listeners();
    listenersOf.set(signal, listeners);
  }
  listeners.add(signal, listener);
}

/** Does nothing for a listener that was called or removed. */
export function removeAbortListener(signal: AbortSignal, listener: AbortListener): void {
  listenersOf.get(signal)?.remove(signal, listener);
}
