import type { Clock, QueuedDeadline, Timer } from '@holdfast/foundation';

/** Where a call's deadline is kept: a shared list, or a timer of its own. */
export interface DeadlineKeeper {
  add(deadline: QueuedDeadline, nowMs?: number): void;
  remove(deadline: QueuedDeadline): void;
}

export interface GuardOptions {
  /** The caller's own signal. */
  readonly signal: AbortSignal | undefined;
  /** Absent: the call has no deadline. */
  readonly deadlines: DeadlineKeeper | undefined;
  /** Makes the error that the caller and the work get when the deadline passes. */
  readonly timedOut: () => unknown;
  /** Called once, when the work itself has settled. */
  readonly onSettled: (() => void) | undefined;
  /** The clock's reading, from a caller who has just taken it. */
  readonly nowMs?: number;
  /** See {@link CallContext}; absent: the call finds its own way. */
  readonly context?: CallContext;
}

/**
 * The context of a call, for its deadline: a shared timer fires in the context of whoever armed it. A
 * caller who awaits the call anyway finds here what to do next, which saves a promise for each call.
 */
export interface CallContext {
  /** Tells the work of a call that is out of time to stop. */
  stopWork: (() => void) | undefined;
}

/**
 * Runs `work` between the caller's signal and a deadline. Whichever of the three comes first settles the
 * promise; the other two are forgotten. The work gets a signal of its own, so that one call's end never
 * reaches another and nothing is aborted after success.
 */
export function runGuarded<T>(
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  options: GuardOptions,
): Promise<T> {
  return new Promise((resolve, reject) => startGuarded(work, options, resolve, reject));
}

/** As {@link runGuarded}, for a caller that makes the promise itself. */
export function startGuarded<T>(
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  options: GuardOptions,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  if (options.signal?.aborted === true) {
    options.onSettled?.();
    reject(options.signal.reason);
    return;
  }
  new GuardedCall(options, resolve, reject).start(work);
}

/** Keeps the deadline of one single call by a timer of its own, which does not hold the process. */
export function ownDeadline(clock: Clock, timeoutMs: number): DeadlineKeeper {
  let timer: Timer | undefined;
  return {
    add: (deadline) => {
      timer = clock.schedule(timeoutMs, () => deadline.expire(), { holdsProcess: false });
    },
    remove: () => timer?.cancel(),
  };
}

class GuardedCall<T> implements QueuedDeadline {
  dueMs = Infinity;
  list: object | undefined = undefined;
  previous: this | undefined = undefined;
  next: this | undefined = undefined;

  readonly #controller = new AbortController();
  readonly #options: GuardOptions;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #ring: (() => void) | undefined;
  #waiting = true;

  constructor(
    options: GuardOptions,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(work: (signal: AbortSignal) => T | PromiseLike<T>): void {
    const { signal, deadlines, context, nowMs } = this.#options;
    signal?.addEventListener('abort', this, { once: true });
    if (deadlines !== undefined) {
      if (context === undefined) this.#listenForRing();
      deadlines.add(this, nowMs);
    }
    let pending: T | PromiseLike<T>;
    try {
      pending = work(this.#controller.signal);
    } catch (error) {
      this.#failed(error);
      return;
    }
    Promise.resolve(pending).then(
      (value) => this.#succeeded(value),
      (error: unknown) => this.#failed(error),
    );
  }

  expire(): void {
    const { context, timedOut } = this.#options;
    if (context === undefined) {
      this.#ring?.();
    } else if (this.#forget()) {
      const reason = timedOut();
      context.stopWork = () => this.#controller.abort(reason);
      this.#reject(reason);
    }
  }

  handleEvent(): void {
    this.#end(this.#options.signal?.reason);
  }

  /** A promise brings the expiry, and the listeners it runs, back into the context of this call. */
  #listenForRing(): void {
    const rung = new Promise<void>((ring) => {
      this.#ring = ring;
    });
    void rung.then(() => this.#end(this.#options.timedOut()));
  }

  #end(reason: unknown): void {
    if (!this.#forget()) return;
    this.#reject(reason);
    this.#controller.abort(reason);
  }

  #succeeded(value: T): void {
    this.#options.onSettled?.();
    if (this.#forget()) this.#resolve(value);
  }

  #failed(error: unknown): void {
    this.#options.onSettled?.();
    if (this.#forget()) this.#reject(error);
  }

  /** Leaves no listener and no deadline behind; `false` when that was done before. */
  #forget(): boolean {
    if (!this.#waiting) return false;
    this.#waiting = false;
    this.#options.signal?.removeEventListener('abort', this);
    this.#options.deadlines?.remove(this);
    return true;
  }
}
