import type { CallDeadline, Cancellation, Cancellable } from '@holdfast/foundation';
import type { Slot } from './pooled-connection.ts';

/** What a statement rejects with when its limit was over before its answer came. */
export class Interruption {
  readonly over: Cancellation;
  readonly sent: boolean;

  constructor(over: Cancellation, sent: boolean) {
    this.over = over;
    this.sent = sent;
  }
}

/** One exchange under way on a slot; whoever waits for it is told by the first of its answer and its limit. */
export class Running<T> implements Cancellable {
  readonly limit: CallDeadline;
  readonly #slot: Slot;
  readonly #otherwise: 'cancel' | 'cut';
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  #onEnd: (() => void) | undefined = undefined;
  #isOver = false;

  /** @param otherwise what is done with the link when the limit is over first. */
  constructor(
    slot: Slot,
    limit: CallDeadline,
    otherwise: 'cancel' | 'cut',
    resolve: (value: T) => void,
    reject: (reason: unknown) => void,
  ) {
    this.limit = limit;
    this.#slot = slot;
    this.#otherwise = otherwise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  answered(value: T): void {
    this.#end();
    this.#resolve(value);
  }

  failed(reason: unknown): void {
    this.#end();
    this.#reject(reason);
  }

  cancel(over: Cancellation): void {
    this.#reject(new Interruption(over, true));
    if (this.#otherwise === 'cancel') this.#slot.abandon(this);
    else this.#slot.link.destroy();
  }

  /** It was not begun. */
  refuse(over: Cancellation): void {
    this.#reject(new Interruption(over, false));
  }

  /** Resolves with the answer, whatever it is, also when nobody waits for it any more. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) resolve();
      else this.#onEnd = resolve;
    });
  }

  #end(): void {
    this.#isOver = true;
    this.limit.current = undefined;
    this.#slot.heard();
    this.#onEnd?.();
  }
}
