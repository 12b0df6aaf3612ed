import { type Backoff, type Emitter, retryAfterMsOf, type EventKinds } from '@holdfast/foundation';
import { type ExhaustedBy, type FailedAttempt, RetryExhaustedError } from './retry-errors.ts';
import { decisiveErrorsOf, strictest } from '../classify/decisive-errors.ts';
import { kindOf } from '../classify/transient.ts';
import type { ResolvedRetryOptions } from './retry-options.ts';
import { RetrySchedule, backoffOf } from './retry-schedule.ts';
import { type WarnOnce, warnOnce } from '../decision.ts';
import { TimeoutError } from '../timeout/timeout.ts';

/** The events of a retry, by name. */
export interface RetryEvents {
  /** An attempt failed and another will be made in `nextDelayMs`. */
  retrying: FailedAttempt & { readonly name: string; readonly nextDelayMs: number };
  /** The last permitted attempt has failed. */
  exhausted: { readonly name: string; readonly error: RetryExhaustedError };
}

export const retryEventKinds: EventKinds<RetryEvents> = { retrying: true, exhausted: true };

/** What a retry has counted since it was made, read at any time. */
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
export type NextStep =
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
  #warnOfSchedule: WarnOnce | undefined;
  #backoff: Backoff | undefined;

  constructor(options: ResolvedRetryOptions, emitter: Emitter<RetryEvents>) {
    this.options = options;
    this.emitter = emitter;
  }

  createSchedule(): RetrySchedule {
    this.#warnOfSchedule ??= warnOnce(`${this.options.name}: backoff.delays`);
    this.#backoff ??= backoffOf(this.options);
    return new RetrySchedule(this.#backoff, this.options.random, this.#warnOfSchedule);
  }

  /** A new call has begun its first attempt. */
  begin(): void {
    this.calls += 1;
    this.attempts += 1;
    this.options.budget?.deposit();
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
  #schedule: RetrySchedule | undefined;
  #attemptNumber = 1;
  #delayMs = 0;
  /** The total time has ended, perhaps while a user's function was awaited. */
  #isOver = false;
  /** A failure about which a user's function has not decided yet. */
  #undecided: { readonly error: unknown } | undefined;

  /** @param endMs when the total time ends, on the monotonic clock. */
  constructor(counters: RetryCounters, endMs: number) {
    this.#counters = counters;
    this.#endMs = endMs;
  }

  /** The running attempt, or the one after the delay. */
  get attemptNumber(): number {
    return this.#attemptNumber;
  }

  /** The running attempt has failed. A promise only where a user's function returns one. */
  next(failure: unknown): NextStep | Promise<NextStep> {
    const retryable = this.#counters.options.retryableErrors.isRetryable(
      failure,
      this.#attemptNumber,
    );
    if (typeof retryable === 'boolean') return this.#stepAfter(failure, retryable);
    this.#undecided = { error: failure };
    return retryable.then((decided) => this.#stepAfter(failure, decided));
  }

  /** The attempt that was to follow has been refused before it was started. */
  refused(refusal: unknown): RetryExhaustedError {
    this.#add(false, refusal);
    return this.#errorOf('refused');
  }

  #stepAfter(failure: unknown, retryable: boolean): NextStep | Promise<NextStep> {
    const { clock, maxAttempts, budget } = this.#counters.options;
    // The error of the call is made already.
    if (this.#isOver) return { kind: 'fail', error: failure };
    this.#undecided = undefined;
    this.#add(retryable, failure);
    if (!retryable) return { kind: 'fail', error: this.#notRetryable(failure) };
    if (this.#attemptNumber >= maxAttempts) return this.#exhausted('attempts');
    const delayMs = this.#delayAfter(failure);
    if (clock.now() + delayMs >= this.#endMs) return this.#exhausted('time');
    const granted = budget === undefined || budget.tryWithdraw();
    if (typeof granted === 'boolean') return this.#retryIf(granted, delayMs);
    return granted.then((decided) => this.#retryIf(decided, delayMs));
  }

  /** The failure of a first attempt is that of the call; after others it must not hide what they came to. */
  #notRetryable(failure: unknown): unknown {
    if (this.#failed.length === 1) return failure;
    return this.#errorOf(kindOf(failure) === 'refused' ? 'refused' : 'not-retryable');
  }

  #retryIf(granted: boolean, delayMs: number): NextStep {
    if (this.#isOver) return { kind: 'fail', error: this.#failed.at(-1)?.error };
    if (!granted) return this.#exhausted('budget');
    this.#emitRetrying(delayMs);
    this.#delayMs = delayMs;
    this.#attemptNumber += 1;
    this.#counters.attempts += 1;
    return { kind: 'retry', delayMs };
  }

  #exhausted(limit: ExhaustedBy): NextStep {
    return { kind: 'fail', error: this.#exhaustedBy(limit) };
  }

  /** The total time has ended while an attempt ran, or a decision about it: returns the error of the call. */
  timedOut(): RetryExhaustedError {
    const { name, timeoutMs } = this.#counters.options;
    this.#isOver = true;
    if (this.#undecided !== undefined) this.#add(false, this.#undecided.error);
    else if (this.#failed.at(-1)?.attemptNumber !== this.#attemptNumber) {
      this.#add(true, new TimeoutError(name, timeoutMs));
    }
    return this.#exhaustedBy('time');
  }

  #add(retryable: boolean, error: unknown): void {
    const attemptNumber = this.#attemptNumber;
    this.#failed.push({ attemptNumber, delayMs: this.#delayMs, retryable, error });
  }

  /** A `Retry-After` counts when it is longer than the schedule, up to a limit and with jitter. */
  #delayAfter(error: unknown): number {
    const { maxRetryAfterMs, jitterFactor, random } = this.#counters.options;
    this.#schedule ??= this.#counters.createSchedule();
    const scheduledMs = this.#schedule.nextMs();
    const requestedMs = this.#requestedMs(error);
    if (requestedMs === undefined) return scheduledMs;
    const grantedMs = Math.min(requestedMs, maxRetryAfterMs);
    return Math.max(scheduledMs, Math.ceil(grantedMs * (1 + jitterFactor * random())));
  }

  /** Also of an error that is deeper, or on another branch, than the chain that is searched. */
  #requestedMs(error: unknown): number | undefined {
    const epochMs = this.#counters.options.clock.epochMs();
    return (
      retryAfterMsOf(error, epochMs) ??
      retryAfterMsOf(strictest(decisiveErrorsOf(error))?.error, epochMs)
    );
  }

  #exhaustedBy(limit: ExhaustedBy): RetryExhaustedError {
    const { name } = this.#counters.options;
    const error = this.#errorOf(limit);
    this.#counters.exhausted += 1;
    if (limit === 'budget') this.#counters.budgetRefusals += 1;
    this.#counters.emitter.emit('exhausted', { name, error });
    return error;
  }

  #errorOf(endedBy: ExhaustedBy): RetryExhaustedError {
    return new RetryExhaustedError(this.#counters.options.name, this.#failed, endedBy);
  }

  #emitRetrying(nextDelayMs: number): void {
    const { emitter, options } = this.#counters;
    const last = this.#failed.at(-1);
    if (last === undefined || !emitter.hasListeners('retrying')) return;
    emitter.emit('retrying', { ...last, name: options.name, nextDelayMs });
  }
}
