import { checkCall } from '../check-call.ts';
import {
  DeadlineQueue,
  type Emitter,
  type Subscribe,
  createEmitter,
  systemClock,
} from '@holdfast/foundation';
import { type NameFirst, nameFirst } from '../name-first.ts';
import {
  type DeadlineCallOptions,
  type DeadlineKeeper,
  ownDeadline,
  runWithDeadline,
} from '../timeout/guarded-call.ts';
import {
  RetryState,
  type RetryEvents,
  RetryCounters,
  type RetryStats,
  retryEventKinds,
} from './retry-state.ts';
import {
  type RetryOptions,
  type ResolvedRetryOptions,
  parseRetryOptions,
  parseSingleRetryOptions,
} from './retry-options.ts';
import { TimeoutError } from '../timeout/timeout.ts';

/** Work that may run more than once. The first attempt has the number 1. */
export type RetriedWork<T> = (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>;

/** Options of one call through a retry. */
export interface RetryCallOptions<T = unknown> {
  /** An abort rejects the call at once with the signal's own reason, and aborts the running attempt. */
  readonly signal?: AbortSignal | undefined;
  /** Receives a value that arrives after the call has been rejected, such as a connection to close. */
  readonly onDiscarded?: ((value: T) => unknown) | undefined;
}

/** Repeats work that fails in a way that may pass. */
export interface Retry {
  /**
   * Runs the work until it succeeds, fails with an error that is not retryable, or reaches a limit. An abort ends
   * the running attempt and every wait at once.
   * @throws RetryExhaustedError when attempts, time or budget are used up, or a later attempt failed in a way that is
   * not retryable; the work's own error when that of the first attempt is not; the reason of `signal`.
   */
  execute<T>(work: RetriedWork<T>, options?: RetryCallOptions<T>): Promise<T>;
  readonly on: Subscribe<RetryEvents>;
  getStats(): RetryStats;
}

/**
 * One retry policy for many calls, which share its budget.
 * @throws InvalidOptionError
 */
export function createRetry(options?: RetryOptions): Retry;
export function createRetry(name: string, options?: NameFirst<RetryOptions>): Retry;
export function createRetry(
  first?: string | RetryOptions,
  second?: NameFirst<RetryOptions>,
): Retry {
  const given = nameFirst<RetryOptions>('createRetry', first, second);
  const resolved = parseRetryOptions('createRetry', given);
  const createKeeper = (limitMs: number): DeadlineKeeper =>
    new DeadlineQueue(resolved.clock, limitMs);
  return new RetryPolicy(resolved, createEmitter('holdfast:retry', retryEventKinds), createKeeper);
}

/**
 * Retries one call, as {@link createRetry} does for many. Without a `budget` only this call's own limits apply;
 * calls that can fail together should share one.
 * @throws InvalidOptionError, and what {@link Retry.execute} throws
 */
export function retry<T>(
  work: RetriedWork<T>,
  options?: RetryOptions & RetryCallOptions<T>,
): Promise<T> {
  try {
    if (typeof work !== 'function') checkCall('retry', work, undefined);
    if (options === undefined) return withDefaults().run(work, undefined);
    const resolved = parseSingleRetryOptions(options);
    const once = new RetryPolicy(resolved, singleCalls, (limitMs) => keeperOf(resolved, limitMs));
    return once.run(work, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Publishes the events of single calls, which have no owner to listen to. */
const singleCalls: Emitter<RetryEvents> = createEmitter('holdfast:retry', retryEventKinds);
let defaultPolicy: RetryPolicy | undefined;

function withDefaults(): RetryPolicy {
  if (defaultPolicy !== undefined) return defaultPolicy;
  const resolved = parseSingleRetryOptions(undefined);
  defaultPolicy = new RetryPolicy(resolved, singleCalls, (limitMs) => keeperOf(resolved, limitMs));
  return defaultPolicy;
}

/** How many timeouts have a timer that single calls share; most programs use a few. */
const SHARED_TIMEOUTS = 16;
const sharedDeadlines = new Map<number, DeadlineQueue>();

/** Single calls with the same timeout share a timer, because one for each costs as much as the rest of the call. */
function keeperOf({ clock }: ResolvedRetryOptions, limitMs: number): DeadlineKeeper {
  if (clock !== systemClock) return ownDeadline(clock, limitMs);
  const shared = sharedDeadlines.get(limitMs);
  if (shared !== undefined) return shared;
  if (sharedDeadlines.size >= SHARED_TIMEOUTS) return ownDeadline(clock, limitMs);
  const created = new DeadlineQueue(clock, limitMs);
  sharedDeadlines.set(limitMs, created);
  return created;
}

class RetryPolicy implements Retry {
  readonly counters: RetryCounters;
  readonly total: DeadlineKeeper;
  readonly perAttempt: DeadlineKeeper | undefined;

  constructor(
    options: ResolvedRetryOptions,
    emitter: Emitter<RetryEvents>,
    createKeeper: (limitMs: number) => DeadlineKeeper,
  ) {
    this.counters = new RetryCounters(options, emitter);
    this.total = createKeeper(options.timeoutMs);
    if (options.attemptTimeoutMs !== undefined)
      this.perAttempt = createKeeper(options.attemptTimeoutMs);
  }

  get on(): Subscribe<RetryEvents> {
    return this.counters.emitter.on;
  }

  execute<T>(work: RetriedWork<T>, options?: RetryCallOptions<T>): Promise<T> {
    try {
      checkCall('retry.execute', work, options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.run(work, options);
  }

  /** As `execute`, with arguments that were checked. */
  run<T>(work: RetriedWork<T>, options: RetryCallOptions<T> | undefined): Promise<T> {
    const call = new RetriedCall(this, work, options);
    return runWithDeadline(call.firstAttempt, call);
  }

  getStats(): RetryStats {
    return this.counters.getStats();
  }
}

/** One call. Its state is created with its first failure, because most calls have none. */
class RetriedCall<T> implements DeadlineCallOptions<T> {
  readonly signal: AbortSignal | undefined;
  readonly onDiscarded: ((value: T) => unknown) | undefined;
  readonly deadlines: DeadlineKeeper;
  readonly nowMs: number;
  readonly #policy: RetryPolicy;
  readonly #work: RetriedWork<T>;
  #state: RetryState | undefined;
  #endPause: (() => void) | undefined;

  constructor(policy: RetryPolicy, work: RetriedWork<T>, options: RetryCallOptions<T> | undefined) {
    this.#policy = policy;
    this.#work = work;
    this.signal = options?.signal;
    this.onDiscarded = options?.onDiscarded;
    this.deadlines = policy.total;
    this.nowMs = policy.counters.options.clock.now();
  }

  readonly firstAttempt = (signal: AbortSignal): T | PromiseLike<T> => {
    this.#policy.counters.begin();
    return this.#attempt(1, signal);
  };

  /** The first attempt has succeeded, or a later one. */
  succeeded(): void {
    this.#policy.counters.succeeded(this.#state?.attemptNumber ?? 1);
  }

  timedOut(): unknown {
    return this.#stateNow().timedOut();
  }

  async recover(firstError: unknown, signal: AbortSignal): Promise<T> {
    const state = this.#stateNow();
    let error = firstError;
    while (true) {
      signal.throwIfAborted();
      const step = await state.next(error);
      signal.throwIfAborted();
      if (step.kind === 'fail') throw step.error;
      await this.#pause(step.delayMs);
      signal.throwIfAborted();
      try {
        return await this.#attempt(state.attemptNumber, signal);
      } catch (failure) {
        error = failure;
      }
    }
  }

  /** Ends the pause between two attempts. */
  ended(): void {
    this.#endPause?.();
  }

  /** No listener on the signal of the call, which would cost as much as the rest of the pause. */
  #pause(delayMs: number): Promise<void> {
    const { clock } = this.#policy.counters.options;
    return new Promise((resolve) => {
      const timer = clock.schedule(delayMs, resolve);
      this.#endPause = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #stateNow(): RetryState {
    const { counters } = this.#policy;
    return (this.#state ??= new RetryState(counters, this.nowMs + counters.options.timeoutMs));
  }

  #attempt(attemptNumber: number, signal: AbortSignal): T | PromiseLike<T> {
    const { name, attemptTimeoutMs } = this.#policy.counters.options;
    if (attemptTimeoutMs === undefined) return this.#work(signal, attemptNumber);
    return runWithDeadline((guarded) => this.#work(guarded, attemptNumber), {
      signal,
      deadlines: this.#policy.perAttempt,
      timedOut: () => new TimeoutError(name, attemptTimeoutMs),
      onDiscarded: this.onDiscarded,
    });
  }
}
