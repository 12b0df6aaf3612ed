import { type Emitter, retryAfterMsOf } from '@holdfast/foundation';
import { type ExhaustedBy, type FailedAttempt, RetryExhaustedError } from './retry-errors.ts';
import type { ResolvedRetryOptions } from './retry-options.ts';
import { TimeoutError } from '../timeout/timeout.ts';

export interface RetryEvents {
  /** An attempt failed and another will be made in `nextDelayMs`. */
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

/** What a failed attempt leads to: another one after a delay, or the error that the caller gets. */
export type NextStep =
  | { readonly again: true; readonly delayMs: number }
  | { readonly again: false; readonly error: unknown };

/** Counts and announces for all courses of one policy. */
export class RetryCounters {
  readonly options: ResolvedRetryOptions;
  readonly announcer: Emitter<RetryEvents>;
  calls = 0;
  attempts = 0;
  successes = 0;
  retrySuccesses = 0;
  exhausted = 0;
  budgetRefusals = 0;

  constructor(options: ResolvedRetryOptions, announcer: Emitter<RetryEvents>) {
    this.options = options;
    this.announcer = announcer;
  }

  /** A new call. Its first attempt has begun. */
  begin(): void {
    this.calls += 1;
    this.attempts += 1;
    this.options.budget.deposit();
  }

  succeeded(attemptNumber: number): void {
    this.successes += 1;
    if (attemptNumber > 1) this.retrySuccesses += 1;
  }

  getStats(): RetryStats {
    const { calls, attempts, successes, retrySuccesses, exhausted, budgetRefusals } = this;
    return { calls, attempts, successes, retrySuccesses, exhausted, budgetRefusals };
  }
}

/** The decisions of one call from its first failure on; it makes no attempt and waits for nothing. */
export class RetryState {
  readonly #ledger: RetryCounters;
  readonly #endMs: number;
  readonly #failed: FailedAttempt[] = [];
  #delays: Iterator<number, never> | undefined;
  #attemptNumber = 1;
  #delayMs = 0;

  /** @param endMs when the total time is over, on the monotonic clock. */
  constructor(ledger: RetryCounters, endMs: number) {
    this.#ledger = ledger;
    this.#endMs = endMs;
  }

  /** The attempt that is running, or comes after the delay. */
  get attemptNumber(): number {
    return this.#attemptNumber;
  }

  /** The running attempt has failed. */
  next(error: unknown): NextStep {
    const { clock } = this.#ledger.options;
    const retryable = this.#record(error);
    if (!retryable) return { again: false, error };
    const delayMs = this.#delayAfter(error);
    const limit = this.#limitReached(clock.now() + delayMs >= this.#endMs);
    if (limit !== undefined) return { again: false, error: this.#exhaustedBy(limit) };
    this.#announce(delayMs);
    this.#delayMs = delayMs;
    this.#attemptNumber += 1;
    this.#ledger.attempts += 1;
    return { again: true, delayMs };
  }

  /** The error of a call whose total time is over while an attempt runs. */
  outOfTime(): RetryExhaustedError {
    const { name, timeoutMs } = this.#ledger.options;
    this.#note(true, new TimeoutError(name, timeoutMs));
    return this.#exhaustedBy('time');
  }

  /** Notes the failure; tells whether it is worth another attempt. */
  #record(error: unknown): boolean {
    const retryable = this.#isRetryable(error);
    this.#note(retryable, error);
    return retryable;
  }

  #note(retryable: boolean, error: unknown): void {
    const attemptNumber = this.#attemptNumber;
    this.#failed.push({ attemptNumber, delayMs: this.#delayMs, retryable, error });
  }

  /** A test that throws must not hide the failure it was asked about. */
  #isRetryable(error: unknown): boolean {
    const { name, isRetryable } = this.#ledger.options;
    try {
      return isRetryable(error, this.#attemptNumber);
    } catch (thrown) {
      process.emitWarning(`${name}: retryableErrors threw: ${String(thrown)}`);
      return false;
    }
  }

  /** The other side's wish counts when it is longer than the schedule, up to a limit, and spread. */
  #delayAfter(error: unknown): number {
    const { backoff, clock, maxRetryAfterMs, jitterFactor, random } = this.#ledger.options;
    this.#delays ??= backoff.delays(random);
    const scheduledMs = this.#delays.next().value;
    const wishedMs = retryAfterMsOf(error, clock.epochMs());
    if (wishedMs === undefined) return scheduledMs;
    const grantedMs = Math.min(wishedMs, maxRetryAfterMs);
    return Math.max(scheduledMs, Math.ceil(grantedMs * (1 + jitterFactor * random())));
  }

  #limitReached(tooLate: boolean): ExhaustedBy | undefined {
    const { maxAttempts, budget } = this.#ledger.options;
    if (this.#attemptNumber >= maxAttempts) return 'attempts';
    if (tooLate) return 'time';
    return budget.tryWithdraw() ? undefined : 'budget';
  }

  #exhaustedBy(limit: ExhaustedBy): RetryExhaustedError {
    const { name } = this.#ledger.options;
    const error = new RetryExhaustedError(name, this.#failed, limit);
    this.#ledger.exhausted += 1;
    if (limit === 'budget') this.#ledger.budgetRefusals += 1;
    this.#ledger.announcer.emit('exhausted', { name, error });
    return error;
  }

  #announce(nextDelayMs: number): void {
    const { announcer, options } = this.#ledger;
    const last = this.#failed.at(-1);
    if (last === undefined || !announcer.hasListeners('retrying')) return;
    announcer.emit('retrying', { ...last, name: options.name, nextDelayMs });
  }
}
