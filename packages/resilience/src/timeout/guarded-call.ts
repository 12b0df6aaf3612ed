import {
  type Clock,
  type QueuedDeadline,
  type Timer,
  addAbortListener,
  callSafely,
  removeAbortListener,
  type AbortableCall,
  AbortNode,
} from '@holdfast/foundation';

/** Keeps a call's deadline: in a shared queue, or by a timer of its own. */
export interface DeadlineKeeper {
  add(deadline: QueuedDeadline, nowMs?: number): void;
  remove(deadline: QueuedDeadline): void;
}

export interface DeadlineCallOptions<T> {
  /** The caller's own signal. */
  readonly signal: AbortSignal | undefined;
  /** Absent: the call has no deadline. */
  readonly deadlines: DeadlineKeeper | undefined;
  /** Creates the error for caller and work when the deadline expires. */
  timedOut(): unknown;
  /** Called once when the work itself has settled. */
  readonly onSettled?: (() => unknown) | undefined;
  /** Receives a value that arrives after the call has been rejected. */
  readonly onDiscarded?: ((value: T) => unknown) | undefined;
  /** Continues the call after the failure of the work, under the same signal and deadline. */
  recover?(error: unknown, signal: AbortSignal): Promise<T>;
  /** The work has succeeded, and the call has not been rejected before. */
  succeeded?(): void;
  /** The call has been rejected by its deadline or its signal. */
  ended?(): void;
  /** The current reading of the clock, if the caller has just taken it. */
  readonly nowMs?: number;
  /** See {@link DeferredAbort}; absent: the call restores its own async context. */
  readonly deferredAbort?: DeferredAbort;
}

/**
 * Brings a deadline back into the async context of its call: a shared timer fires in the context of the call that
 * armed it. A caller that awaits the call anyway runs `stopWork` afterwards, which saves a promise for each call.
 */
export interface DeferredAbort {
  /** Aborts the work of a call whose deadline has expired. */
  abortWork: (() => void) | undefined;
}

type Work<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/**
 * Runs `work` with the caller's signal and a deadline. The first of the three settles the promise, and the other
 * two are released. The work gets a signal of its own, so that the end of one call never reaches another and
 * nothing is aborted after success.
 */
export function runWithDeadline<T>(work: Work<T>, options: DeadlineCallOptions<T>): Promise<T> {
  return new Promise((resolve, reject) => startWithDeadline(work, options, resolve, reject));
}

/** As {@link runWithDeadline}, for a caller that creates the promise itself. */
export function startWithDeadline<T>(
  work: Work<T>,
  options: DeadlineCallOptions<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  if (options.signal?.aborted === true) {
    if (options.onSettled !== undefined) callSafely('onSettled', options.onSettled);
    reject(options.signal.reason);
    return;
  }
  new GuardedCall(options, resolve, reject).start(work);
}

/** Keeps the deadline of one call by a timer of its own, which does not hold the process. */
export function ownDeadline(clock: Clock, timeoutMs: number): DeadlineKeeper {
  let timer: Timer | undefined;
  return {
    add: (deadline) => {
      timer = clock.schedule(timeoutMs, () => deadline.expire(), { holdsProcess: false });
    },
    remove: () => timer?.cancel(),
  };
}

class GuardedCall<T> implements QueuedDeadline, AbortableCall {
  dueMs = Infinity;
  list: object | undefined = undefined;
  previous: this | undefined = undefined;
  next: this | undefined = undefined;

  readonly #controller = new AbortController();
  readonly #options: DeadlineCallOptions<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #abortNode: AbortNode | undefined;
  #onExpired: (() => void) | undefined;
  #waiting = true;

  constructor(
    options: DeadlineCallOptions<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(work: Work<T>): void {
    const { signal, deadlines, deferredAbort, nowMs } = this.#options;
    if (signal !== undefined) {
      this.#abortNode = new AbortNode(this);
      addAbortListener(signal, this.#abortNode);
    }
    if (deadlines !== undefined) {
      if (deferredAbort === undefined) this.#expireInContext();
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
    const { deferredAbort } = this.#options;
    if (deferredAbort === undefined) {
      this.#onExpired?.();
    } else if (this.#release()) {
      const reason = this.#options.timedOut();
      deferredAbort.abortWork = () => this.#controller.abort(reason);
      this.#reject(reason);
    }
  }

  signalAborted(reason: unknown): void {
    this.#end(reason);
  }

  /** A promise brings the expiry, and the abort listeners it runs, back into the async context of this call. */
  #expireInContext(): void {
    const expired = new Promise<void>((resolve) => {
      this.#onExpired = resolve;
    });
    void expired.then(() => {
      if (this.#waiting) this.#end(this.#options.timedOut());
    });
  }

  #end(reason: unknown): void {
    if (!this.#release()) return;
    this.#reject(reason);
    this.#controller.abort(reason);
    this.#options.ended?.();
  }

  #succeeded(value: T): void {
    const { onSettled, onDiscarded } = this.#options;
    if (onSettled !== undefined) callSafely('onSettled', onSettled);
    if (this.#release()) {
      this.#options.succeeded?.();
      this.#resolve(value);
    } else if (onDiscarded !== undefined) {
      callSafely('onDiscarded', onDiscarded, value);
    }
  }

  #failed(failure: unknown): void {
    if (this.#options.recover === undefined || !this.#waiting) {
      this.#settleFailed(failure);
      return;
    }
    this.#options.recover(failure, this.#controller.signal).then(
      (value) => this.#succeeded(value),
      (last: unknown) => this.#settleFailed(last),
    );
  }

  #settleFailed(error: unknown): void {
    const { onSettled } = this.#options;
    if (onSettled !== undefined) callSafely('onSettled', onSettled);
    if (this.#release()) this.#reject(error);
  }

  /** Removes listener and deadline; `false` if the call had settled before. */
  #release(): boolean {
    if (!this.#waiting) return false;
    this.#waiting = false;
    const { signal, deadlines } = this.#options;
    if (signal !== undefined && this.#abortNode !== undefined) {
      removeAbortListener(signal, this.#abortNode);
    }
    deadlines?.remove(this);
    return true;
  }
}
