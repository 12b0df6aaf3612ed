import { type AbortableCall, AbortNode } from '../abort-node.ts';
import { ListNode } from '../lists/linked-list.ts';
import { addAbortListener, removeAbortListener } from '../signals.ts';

/**
 * One waiting call: queued until it is admitted, refused or aborted, whichever comes first. However the wait ends,
 * its listener on the caller's signal is removed.
 */
export abstract class Waiter<T> extends ListNode implements AbortableCall {
  readonly promise: Promise<T>;
  readonly #signal: AbortSignal | undefined;
  readonly #abortNode: AbortNode | undefined;
  #resolve: ((value: T) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    super();
    this.#signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal === undefined) return;
    this.#abortNode = new AbortNode(this);
    addAbortListener(signal, this.#abortNode);
  }

  /** Removes the call from its queue, because its signal has aborted. */
  protected abstract leaveQueue(): void;

  admit(value: T): void {
    this.#ignoreSignal();
    this.#resolve?.(value);
  }

  refuse(error: unknown): void {
    this.#ignoreSignal();
    this.#reject?.(error);
  }

  signalAborted(reason: unknown): void {
    this.leaveQueue();
    this.#reject?.(reason);
  }

  #ignoreSignal(): void {
    if (this.#signal === undefined || this.#abortNode === undefined) return;
    removeAbortListener(this.#signal, this.#abortNode);
  }
}
