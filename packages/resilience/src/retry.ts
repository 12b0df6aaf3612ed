import { sleep } from './clock.ts';
import { type Announcer, type Listen, createAnnouncer } from './events.ts';
import { Deadlines } from './deadlines.ts';
import { type DeadlineKeeper, ownDeadline, runGuarded } from './guarded-call.ts';
import { retryAfterMsOf } from './retry-after.ts';
import { type ExhaustedBy, type FailedAttempt, RetryExhaustedError } from './retry-errors.ts';
import { type RetryOptions, type SettledRetryOptions, readRetryOptions } from './retry-options.ts';
import { TimeoutError } from './timeout.ts';

/** Work that may be done more than once. The first attempt has the number 1. */
export type RetriedWork<T> = (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>;

export interface RetryEvents {
  /** An attempt failed and another will be made in `delayMs`. */
  retrying: FailedAttempt & { readonly name: string; readonly nextDelayMs: number };
  /** The last attempt that was allowed has failed. */
  exhausted: { readonly name: string; readonly error: RetryExhaustedError };
}

export interface RetryStats {
  readonly calls: number;
  /** First attempts included. */
  readonly attempts: number;
  readonly successes: number;
  /** Successes that took more than one attempt. */
  readonly retrySuccesses: number;
  readonly exhausted: number;
  /** Retries that were not made because the budget was spent. */
  readonly budgetRefusals: number;
}

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
  readonly on: Listen<RetryEvents>;
  getStats(): RetryStats;
}

/**
 * A way of retrying for many calls, with one budget among them.
 * @throws InvalidOptionError
 */
export function createRetry(options?: RetryOptions): Retry {
  const settled = readRetryOptions('createRetry', options);
  return new Retrying(settled, (limitMs) => new Deadlines(settled.clock, limitMs));
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
  const settled = readRetryOptions('retry', given);
  const once = new Retrying(settled, (limitMs) => ownDeadline(settled.clock, limitMs));
  return once.execute(work, { signal });
}

/** How far one call has come. */
interface Course {
  readonly failed: FailedAttempt[];
  attemptNumber: number;
  /** What was waited before the running attempt. */
  delayMs: number;
}

class Retrying implements Retry {
  readonly on: Listen<RetryEvents>;
  readonly #options: SettledRetryOptions;
  readonly #announcer: Announcer<RetryEvents>;
  readonly #total: DeadlineKeeper;
  readonly #each: DeadlineKeeper | undefined;
  readonly #stats = {
    calls: 0,
    attempts: 0,
    successes: 0,
    retrySuccesses: 0,
    exhausted: 0,
    budgetRefusals: 0,
  };

  constructor(options: SettledRetryOptions, keeper: (limitMs: number) => DeadlineKeeper) {
    this.#options = options;
    this.#announcer = createAnnouncer('holdfast:retry');
    this.on = this.#announcer.on;
    this.#total = keeper(options.timeoutMs);
    if (options.attemptTimeoutMs !== undefined) this.#each = keeper(options.attemptTimeoutMs);
  }

  execute<T>(
    work: RetriedWork<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T> {
    this.#stats.calls += 1;
    this.#options.budget.deposit();
    const course: Course = { failed: [], attemptNumber: 1, delayMs: 0 };
    return runGuarded((signal) => this.#attempts(work, signal, course), {
      signal: options?.signal,
      deadlines: this.#total,
      timedOut: () => this.#outOfTime(course),
      onSettled: undefined,
    });
  }

  async #attempts<T>(work: RetriedWork<T>, signal: AbortSignal, course: Course): Promise<T> {
    const { backoff, clock, random, timeoutMs } = this.#options;
    const endMs = clock.now() + timeoutMs;
    let delays: Iterator<number, never> | undefined;
    for (; ; course.attemptNumber += 1) {
      try {
        this.#stats.attempts += 1;
        const value = await this.#attempt(work, course.attemptNumber, signal);
        this.#succeeded(course, signal);
        return value;
      } catch (error) {
        signal.throwIfAborted();
        if (!this.#record(course, error)) throw error;
        delays ??= backoff.delays(random);
        course.delayMs = this.#delayAfter(error, delays.next().value);
        const tooLate = clock.now() + course.delayMs >= endMs;
        const limit = this.#limitReached(course.attemptNumber, tooLate);
        if (limit !== undefined) throw this.#exhausted(course.failed, limit);
        this.#announceRetry(course);
      }
      await sleep(clock, course.delayMs, signal);
    }
  }

  #attempt<T>(
    work: RetriedWork<T>,
    attemptNumber: number,
    signal: AbortSignal,
  ): T | PromiseLike<T> {
    const { name, attemptTimeoutMs } = this.#options;
    if (attemptTimeoutMs === undefined) return work(signal, attemptNumber);
    return runGuarded((guarded) => work(guarded, attemptNumber), {
      signal,
      deadlines: this.#each,
      timedOut: () => new TimeoutError(name, attemptTimeoutMs),
      onSettled: undefined,
    });
  }

  getStats(): RetryStats {
    return { ...this.#stats };
  }

  #succeeded({ attemptNumber }: Course, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#stats.successes += 1;
    if (attemptNumber > 1) this.#stats.retrySuccesses += 1;
  }

  /** Notes the failure; tells whether it is worth another attempt. */
  #record({ failed, attemptNumber, delayMs }: Course, error: unknown): boolean {
    const retryable = this.#isRetryable(error, attemptNumber);
    failed.push({ attemptNumber, delayMs, retryable, error });
    return retryable;
  }

  /** A test that throws must not hide the failure it was asked about. */
  #isRetryable(error: unknown, attemptNumber: number): boolean {
    try {
      return this.#options.isRetryable(error, attemptNumber);
    } catch (thrown) {
      process.emitWarning(`${this.#options.name}: retryableErrors threw: ${String(thrown)}`);
      return false;
    }
  }

  /** The other side's wish counts when it is longer than the schedule, up to a limit, and spread. */
  #delayAfter(error: unknown, scheduledMs: number): number {
    const { clock, maxRetryAfterMs, jitterFactor, random } = this.#options;
    const wishedMs = retryAfterMsOf(error, clock.epochMs());
    if (wishedMs === undefined) return scheduledMs;
    const grantedMs = Math.min(wishedMs, maxRetryAfterMs);
    return Math.max(scheduledMs, Math.ceil(grantedMs * (1 + jitterFactor * random())));
  }

  #limitReached(attemptNumber: number, tooLate: boolean): ExhaustedBy | undefined {
    if (attemptNumber >= this.#options.maxAttempts) return 'attempts';
    if (tooLate) return 'time';
    return this.#options.budget.tryWithdraw() ? undefined : 'budget';
  }

  #exhausted(failed: readonly FailedAttempt[], limit: ExhaustedBy): RetryExhaustedError {
    const { name } = this.#options;
    const error = new RetryExhaustedError(name, failed, limit);
    this.#stats.exhausted += 1;
    if (limit === 'budget') this.#stats.budgetRefusals += 1;
    this.#announcer.announce('exhausted', { name, error });
    return error;
  }

  #outOfTime(course: Course): RetryExhaustedError {
    const { name, timeoutMs } = this.#options;
    const { failed, attemptNumber, delayMs } = course;
    const error = new TimeoutError(name, timeoutMs);
    return this.#exhausted([...failed, { attemptNumber, delayMs, retryable: true, error }], 'time');
  }

  #announceRetry({ failed, delayMs }: Course): void {
    const last = failed.at(-1);
    if (last === undefined || !this.#announcer.heard('retrying')) return;
    this.#announcer.announce('retrying', {
      ...last,
      name: this.#options.name,
      nextDelayMs: delayMs,
    });
  }
}
