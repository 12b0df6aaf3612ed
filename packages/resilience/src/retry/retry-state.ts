import { type Emitter, retryAfterMsOf } from '@holdfast/foundation';
import { type ExhaustedBy, type FailedAttempt, RetryExhaustedError } from './retry-errors.ts';
import type { ResolvedRetryOptions } from './retry-options.ts';
import { TimeoutError } from '../timeout/timeout.ts';

export interface RetryEvents {
  /** An attempt failed and another will be made in `nextDelayMs`. */
  retrying: FailedAttempt & { readonly name: string; readonly nextDelayMs: number };
  /** The last permitted attempt has failed. */
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

/** The consequence of a failed attempt: another one after a delay, or the error for the caller. */
type NextStep =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fail'; readonly error: unknown };

/** The counters and events of one policy, for all its calls. */
export class RetryCounters {
  readonly options: ResolvedRetryOptions;
  readonly emitter: Emitter<RetryEvents>;
  calls = 0;
  attempts = 0;
  successes = 0;
  retrySuccesses = 0;
  exhausted = 0;
  budgetRefusals = 0;

  constructor(options: ResolvedRetryOptions, emitter: Emitter<RetryEvents>) {
    this.options = options;
    this.emitter = emitter;
  }

  /** A new call has begun its first attempt. */
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

/** The state of one call from its first failure on. It decides; it makes no attempt and does not wait. */
export class RetryState {
  readonly #counters: RetryCounters;
  readonly #endMs: number;
  readonly #failed: FailedAttempt[] = [];
  #delays: Iterator<number, never> | undefined;
  #attemptNumber = 1;
  #delayMs = 0;

  /** @param endMs when the total time ends, on the monotonic clock. */
  constructor(counters: RetryCounters, endMs: number) {
    this.#counters = counters;
    this.#endMs = endMs;
  }

  /** The running attempt, or the one after the delay. */
  get attemptNumber(): number {
    return this.#attemptNumber;
  }

  /** The running attempt has failed. */
  next(error: unknown): NextStep {
    const { clock } = this.#counters.options;
    const retryable = this.#record(error);
    if (!retryable) return { kind: 'fail', error };
    const delayMs = this.#delayAfter(error);
    const limit = this.#limitReached(clock.now() + delayMs >= this.#endMs);
    if (limit !== undefined) return { kind: 'fail', error: this.#exhaustedBy(limit) };
    this.#emitRetrying(delayMs);
    this.#delayMs = delayMs;
    this.#attemptNumber += 1;
    this.#counters.attempts += 1;
    return { kind: 'retry', delayMs };
  }

  /** The total time has ended while an attempt ran: returns the error of the call. */
  timedOut(): RetryExhaustedError {
    const { name, timeoutMs } = this.#counters.options;
    this.#add(true, new TimeoutError(name, timeoutMs));
    return this.#exhaustedBy('time');
  }

  /** Records the failure; returns whether it is retryable. */
  #record(error: unknown): boolean {
    const retryable = this.#isRetryable(error);
    this.#add(retryable, error);
    return retryable;
  }

  #add(retryable: boolean, error: unknown): void {
    const attemptNumber = this.#attemptNumber;
    this.#failed.push({ attemptNumber, delayMs: this.#delayMs, retryable, error });
  }

  /** A user's test that throws must not hide the failure. */
  #isRetryable(error: unknown): boolean {
    const { name, isRetryable } = this.#counters.options;
    try {
      return isRetryable(error, this.#attemptNumber);
    } catch (thrown) {
      process.emitWarning(`${name}: retryableErrors threw: ${String(thrown)}`);
      return false;
    }
  }

  /** A `Retry-After` counts when it is longer than the schedule, up to a limit and with jitter. */
  #delayAfter(error: unknown): number {
    const { backoff, clock, maxRetryAfterMs, jitterFactor, random } = this.#counters.options;
    this.#delays ??= backoff.delays(random);
    const scheduledMs = this.#delays.next().value;
    const requestedMs = retryAfterMsOf(error, clock.epochMs());
    if (requestedMs === undefined) return scheduledMs;
    const grantedMs = Math.min(requestedMs, maxRetryAfterMs);
    return Math.max(scheduledMs, Math.ceil(grantedMs * (1 + jitterFactor * random())));
  }

  #limitReached(isTooLate: boolean): ExhaustedBy | undefined {
    const { maxAttempts, budget } = this.#counters.options;
    if (this.#attemptNumber >= maxAttempts) return 'attempts';
    if (isTooLate) return 'time';
    return budget.tryWithdraw() ? undefined : 'budget';
  }

  #exhaustedBy(limit: ExhaustedBy): RetryExhaustedError {
    const { name } = this.#counters.options;
    const error = new RetryExhaustedError(name, this.#failed, limit);
    this.#counters.exhausted += 1;
    if (limit === 'budget') this.#counters.budgetRefusals += 1;
    this.#counters.emitter.emit('exhausted', { name, error });
    return error;
  }

  #emitRetrying(nextDelayMs: number): void {
    const { emitter, options } = this.#counters;
    const last = this.#failed.at(-1);
    if (last === undefined || !emitter.hasListeners('retrying')) return;
    emitter.emit('retrying', { ...last, name: options.name, nextDelayMs });
  }
}
