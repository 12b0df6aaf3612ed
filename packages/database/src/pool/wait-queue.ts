import {
  type CallDeadline,
  type Cancellation,
  type Clock,
  LinkedList,
  ListNode,
  type Timer,
} from '@holdfast/foundation';

/** A wait that is over. */
export interface Wait {
  /** When it began. */
  readonly sinceMs: number;
  /** The timeout that ended it: of the wait itself, or of the call that it is part of. */
  readonly timeoutMs: number;
}

/** A caller that waits for a connection or a host. */
class Waiter<T> extends ListNode implements Wait {
  readonly sinceMs: number;
  /** The timeout of the whole call, of which the time left is what it waits for. */
  readonly timeoutMs: number;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  timer: Timer | undefined;

  constructor(wait: Wait, resolve: (value: T) => void, reject: (reason: unknown) => void) {
    super();
    this.sinceMs = wait.sinceMs;
    this.timeoutMs = wait.timeoutMs;
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
  readonly #timeoutError: (wait: Wait) => Error;
  readonly #onGiveUp: (() => void) | undefined;

  /**
   * @param timeoutError makes the error of a caller whose time is over, while it is still in the queue.
   * @param onGiveUp called after a caller has left the queue at its deadline or by its signal.
   */
  constructor(clock: Clock, timeoutError: (wait: Wait) => Error, onGiveUp?: () => void) {
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
      const timeoutMs = timerMs ?? deadline.timeoutMs;
      const waiter = new Waiter({ sinceMs: nowMs, timeoutMs }, resolve, reject);
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

  /** Rejects callers that have waited since then or longer with their timeout error. */
  rejectWaitingSince(sinceMs: number): void {
    for (;;) {
      const next = this.#waiters.first;
      if (next === undefined || next.sinceMs > sinceMs) return;
      next.reject(this.#timeoutError(next));
      this.#waiters.remove(next);
    }
  }

  #giveUp(waiter: Waiter<T>, cancellation: Cancellation): void {
    if (waiter.list === undefined) return;
    const reason =
      cancellation.kind === 'signal' ? cancellation.reason : this.#timeoutError(waiter);
    this.#waiters.remove(waiter);
    waiter.reject(reason);
    this.#onGiveUp?.();
  }
}
