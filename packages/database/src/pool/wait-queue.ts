import {
  type CallDeadline,
  type Cancellation,
  type Clock,
  LinkedList,
  ListNode,
  type Timer,
} from '@holdfast/foundation';

/** A caller that waits for a connection or a host. */
class Waiter<T> extends ListNode {
  readonly sinceMs: number;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  timer: Timer | undefined;

  constructor(sinceMs: number, resolve: (value: T) => void, reject: (reason: unknown) => void) {
    super();
    this.sinceMs = sinceMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  serve(value: T): void {
    this.timer?.cancel();
    this.#resolve(value);
  }

  reject(reason: unknown): void {
    this.timer?.cancel();
    this.#reject(reason);
  }
}

const TIMED_OUT: Cancellation = { kind: 'deadline' };

/** Callers in the order of their calls, each until its own deadline. */
export class WaitQueue<T> {
  readonly #waiters: LinkedList<Waiter<T>> = new LinkedList();
  readonly #clock: Clock;
  readonly #timeoutError: (sinceMs: number) => Error;
  readonly #onGiveUp: (() => void) | undefined;

  /**
   * @param timeoutError makes the error of a caller whose time is over, while it is still in the queue.
   * @param onGiveUp called after a caller has left the queue at its deadline or by its signal.
   */
  constructor(clock: Clock, timeoutError: (sinceMs: number) => Error, onGiveUp?: () => void) {
    this.#clock = clock;
    this.#timeoutError = timeoutError;
    this.#onGiveUp = onGiveUp;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /**
   * Waits at the end of the queue until the deadline.
   * @param timerMs sets a timer of its own, which also keeps the process alive.
   * @throws the timeout error, or the reason of the deadline's signal.
   */
  wait(deadline: CallDeadline, nowMs: number, timerMs?: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(nowMs, resolve, reject);
      deadline.current = { cancel: (cancellation) => this.#giveUp(waiter, cancellation) };
      if (timerMs !== undefined) {
        waiter.timer = this.#clock.schedule(timerMs, () => this.#giveUp(waiter, TIMED_OUT));
      }
      this.#waiters.append(waiter);
    });
  }

  /** Takes the caller that has waited longest out of the queue. */
  shift(): Waiter<T> | undefined {
    return this.#waiters.shift();
  }

  serveAll(value: T): void {
    for (let next = this.shift(); next !== undefined; next = this.shift()) next.serve(value);
  }

  rejectAll(reason: () => unknown): void {
    for (let next = this.shift(); next !== undefined; next = this.shift()) next.reject(reason());
  }

  #giveUp(waiter: Waiter<T>, cancellation: Cancellation): void {
    if (waiter.list === undefined) return;
    const reason =
      cancellation.kind === 'signal' ? cancellation.reason : this.#timeoutError(waiter.sinceMs);
    this.#waiters.remove(waiter);
    waiter.reject(reason);
    this.#onGiveUp?.();
  }
}
