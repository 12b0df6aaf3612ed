import { abortable } from '@holdfast/foundation';

/** Wakes all waiters; each then checks its own condition again. */
export class Notifier {
  #next: PromiseWithResolvers<void> | undefined;

  /** Resolves at the next notification; rejects with the signal's own reason. */
  wait(signal: AbortSignal): Promise<void> {
    this.#next ??= Promise.withResolvers<void>();
    return abortable(this.#next.promise, signal);
  }

  notifyAll(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }
}
