import { createEmitter, DeadlineQueue, type Subscribe, sleep } from '@holdfast/foundation';
import { type DeadlineKeeper, ownDeadline, runWithDeadline } from '../timeout/guarded-call.ts';
import { RetryState, type RetryEvents, RetryCounters, type RetryStats } from './retry-state.ts';
import {
  type RetryOptions,
  type ResolvedRetryOptions,
  parseRetryOptions,
} from './retry-options.ts';
import { TimeoutError } from '../timeout/timeout.ts';

/** Work that may run more than once. The first attempt has the number 1. */
export type RetriedWork<T> = (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>;

export interface Retry {
  /**
   * Runs the work until it succeeds, fails with an error that is not retryable, or reaches a limit. An abort ends
   * the running attempt and every wait at once.
   * @throws RetryExhaustedError when attempts, time or budget are used up; the work's own error when it is not
   * retryable; the reason of `signal`.
   */
  execute<T>(
    work: RetriedWork<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T>;
  readonly on: Subscribe<RetryEvents>;
  getStats(): RetryStats;
}

/**
 * One retry policy for many calls, which share its budget.
 * @throws InvalidOptionError
 */
export function createRetry(options?: RetryOptions): Retry {
  const resolved = parseRetryOptions('createRetry', options);
  return new RetryPolicy(resolved, (limitMs) => new DeadlineQueue(resolved.clock, limitMs));
}

/**
 * Retries one call, as {@link createRetry} does for many. Without a `budget` only this call's own limits apply;
 * calls that can fail together should share one.
 * @throws InvalidOptionError, and what {@link Retry.execute} throws
 */
export async function retry<T>(
  work: RetriedWork<T>,
  options: RetryOptions & { signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const { signal, ...given } = options;
  const resolved = parseRetryOptions('retry', given);
  const once = new RetryPolicy(resolved, (limitMs) => ownDeadline(resolved.clock, limitMs));
  return once.execute(work, { signal });
}

class RetryPolicy implements Retry {
  readonly on: Subscribe<RetryEvents>;
  readonly #counters: RetryCounters;
  readonly #total: DeadlineKeeper;
  readonly #perAttempt: DeadlineKeeper | undefined;

  constructor(options: ResolvedRetryOptions, createKeeper: (limitMs: number) => DeadlineKeeper) {
    const emitter = createEmitter<RetryEvents>('holdfast:retry');
    this.on = emitter.on;
    this.#counters = new RetryCounters(options, emitter);
    this.#total = createKeeper(options.timeoutMs);
    if (options.attemptTimeoutMs !== undefined)
      this.#perAttempt = createKeeper(options.attemptTimeoutMs);
  }

  execute<T>(
    work: RetriedWork<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T> {
    const { clock, timeoutMs } = this.#counters.options;
    const state = new RetryState(this.#counters, clock.now() + timeoutMs);
    return runWithDeadline((signal) => this.#attempts(work, signal, state), {
      signal: options?.signal,
      deadlines: this.#total,
      timedOut: () => state.timedOut(),
      onSettled: undefined,
    });
  }

  getStats(): RetryStats {
    return this.#counters.getStats();
  }

  async #attempts<T>(work: RetriedWork<T>, signal: AbortSignal, state: RetryState): Promise<T> {
    this.#counters.begin();
    while (true) {
      let value: T;
      try {
        value = await this.#attempt(work, state.attemptNumber, signal);
      } catch (error) {
        signal.throwIfAborted();
        const step = state.next(error);
        if (step.kind === 'fail') throw step.error;
        await sleep(this.#counters.options.clock, step.delayMs, signal);
        continue;
      }
      if (!signal.aborted) this.#counters.succeeded(state.attemptNumber);
      return value;
    }
  }

  #attempt<T>(
    work: RetriedWork<T>,
    attemptNumber: number,
    signal: AbortSignal,
  ): T | PromiseLike<T> {
    const { name, attemptTimeoutMs } = this.#counters.options;
    if (attemptTimeoutMs === undefined) return work(signal, attemptNumber);
    return runWithDeadline((guarded) => work(guarded, attemptNumber), {
      signal,
      deadlines: this.#perAttempt,
      timedOut: () => new TimeoutError(name, attemptTimeoutMs),
      onSettled: undefined,
    });
  }
}
