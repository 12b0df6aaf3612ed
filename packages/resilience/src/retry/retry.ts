import { createEmitter, DeadlineQueue, type Subscribe, sleep } from '@holdfast/foundation';
import { type DeadlineKeeper, ownDeadline, runGuarded } from '../timeout/guarded-call.ts';
import { RetryState, type RetryEvents, RetryCounters, type RetryStats } from './retry-state.ts';
import {
  type RetryOptions,
  type ResolvedRetryOptions,
  parseRetryOptions,
} from './retry-options.ts';
import { TimeoutError } from '../timeout/timeout.ts';

/** Work that may be done more than once. The first attempt has the number 1. */
export type RetriedWork<T> = (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>;

export interface Retry {
  /**
   * Does the work until it succeeds, fails for good, or a limit is reached. An abort ends the running
   * attempt and every wait at once.
   * @throws RetryExhaustedError when attempts, time or budget are used up; the work's own error when it
   * is not worth another attempt; the reason of `signal`.
   */
  execute<T>(
    work: RetriedWork<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T>;
  readonly on: Subscribe<RetryEvents>;
  getStats(): RetryStats;
}

/**
 * A way of retrying for many calls, with one budget among them.
 * @throws InvalidOptionError
 */
export function createRetry(options?: RetryOptions): Retry {
  const settled = parseRetryOptions('createRetry', options);
  return new Retrying(settled, (limitMs) => new DeadlineQueue(settled.clock, limitMs));
}

/**
 * Retries one call, as {@link createRetry} does many. Without a `budget` only this call's own limits
 * hold; calls that can fail together had better share one.
 * @throws InvalidOptionError, and what {@link Retry.execute} throws
 */
export async function retry<T>(
  work: RetriedWork<T>,
  options: RetryOptions & { signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const { signal, ...given } = options;
  const settled = parseRetryOptions('retry', given);
  const once = new Retrying(settled, (limitMs) => ownDeadline(settled.clock, limitMs));
  return once.execute(work, { signal });
}

class Retrying implements Retry {
  readonly on: Subscribe<RetryEvents>;
  readonly #ledger: RetryCounters;
  readonly #total: DeadlineKeeper;
  readonly #each: DeadlineKeeper | undefined;

  constructor(options: ResolvedRetryOptions, keeper: (limitMs: number) => DeadlineKeeper) {
    const announcer = createEmitter<RetryEvents>('holdfast:retry');
    this.on = announcer.on;
    this.#ledger = new RetryCounters(options, announcer);
    this.#total = keeper(options.timeoutMs);
    if (options.attemptTimeoutMs !== undefined) this.#each = keeper(options.attemptTimeoutMs);
  }

  execute<T>(
    work: RetriedWork<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T> {
    const { clock, timeoutMs } = this.#ledger.options;
    const course = new RetryState(this.#ledger, clock.now() + timeoutMs);
    return runGuarded((signal) => this.#attempts(work, signal, course), {
      signal: options?.signal,
      deadlines: this.#total,
      timedOut: () => course.outOfTime(),
      onSettled: undefined,
    });
  }

  getStats(): RetryStats {
    return this.#ledger.getStats();
  }

  async #attempts<T>(work: RetriedWork<T>, signal: AbortSignal, course: RetryState): Promise<T> {
    this.#ledger.begin();
    while (true) {
      let value: T;
      try {
        value = await this.#attempt(work, course.attemptNumber, signal);
      } catch (error) {
        signal.throwIfAborted();
        const step = course.next(error);
        if (!step.again) throw step.error;
        await sleep(this.#ledger.options.clock, step.delayMs, signal);
        continue;
      }
      if (!signal.aborted) this.#ledger.succeeded(course.attemptNumber);
      return value;
    }
  }

  #attempt<T>(
    work: RetriedWork<T>,
    attemptNumber: number,
    signal: AbortSignal,
  ): T | PromiseLike<T> {
    const { name, attemptTimeoutMs } = this.#ledger.options;
    if (attemptTimeoutMs === undefined) return work(signal, attemptNumber);
    return runGuarded((guarded) => work(guarded, attemptNumber), {
      signal,
      deadlines: this.#each,
      timedOut: () => new TimeoutError(name, attemptTimeoutMs),
      onSettled: undefined,
    });
  }
}
