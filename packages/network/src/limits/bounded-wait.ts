import { type Clock, type Timer, Waiter } from '@holdfast/foundation';

interface BoundedWaitDeps {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Takes the waiter out of its queue. */
  readonly leave: () => void;
  /** The error at the deadline. */
  readonly late: () => Error;
}

/** One call in a queue, until it is admitted or refused, its signal aborts or its time is over, whichever comes first. */
export class BoundedWait<T> extends Waiter<T> {
  readonly #timer: Timer;
  readonly #leave: () => void;

  constructor({ clock, timeoutMs, signal, leave, late }: BoundedWaitDeps) {
    super(signal);
    this.#leave = leave;
    const end = (): void => {
      leave();
      this.refuse(late());
    };
    this.#timer = clock.schedule(timeoutMs, end, { holdsProcess: false });
  }

  protected override leaveQueue(): void {
    this.#timer.cancel();
    this.#leave();
  }

  override admit(value: T): void {
    this.#timer.cancel();
    super.admit(value);
  }

  override refuse(error: unknown): void {
    this.#timer.cancel();
    super.refuse(error);
  }
}
