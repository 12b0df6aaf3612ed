import { ListNode } from '@holdfast/foundation';

/**
 * One waiting call: queued until it is admitted, refused or aborted, whichever comes first. It is its own
 * listener on the caller's signal; however the wait ends, the listener is removed.
 */
export abstract class Waiter<T> extends ListNode {
  readonly promise: Promise<T>;
  readonly #signal: AbortSignal | undefined;
  #resolve: ((value: T) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    super();
    this.#signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal?.addEventListener('abort', this, { once: true });
  }

  /** Removes the call from its queue, because its signal has aborted. */
  protected abstract leaveQueue(): void;

  admit(value: T): void {
    this.#signal?.removeEventListener('abort', this);
    this.#resolve?.(value);
  }

  refuse(error: unknown): void {
    this.#signal?.removeEventListener('abort', this);
    this.#reject?.(error);
  }

  /** The signal has aborted. */
  handleEvent(): void {
    this.leaveQueue();
    this.#reject?.(this.#signal?.reason);
  }
}
