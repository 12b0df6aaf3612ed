import { HoldfastError, isHoldfastError } from '@holdfast/foundation';

/** One attempt that failed. */
export interface FailedAttempt {
  /** 1 for the first. */
  readonly attemptNumber: number;
  /** The delay before it, in milliseconds; 0 for the first. */
  readonly delayMs: number;
  /** Whether its error was retryable. */
  readonly retryable: boolean;
  readonly error: unknown;
}

/** The limit that ended the retry. */
export type ExhaustedBy = 'attempts' | 'time' | 'budget';

const limits: Readonly<Record<ExhaustedBy, string>> = {
  attempts: 'no attempt is left',
  time: 'the total time allowed is over',
  budget: 'the retry budget is spent',
};

/** Every permitted attempt has failed. `cause` is the last failure. */
export class RetryExhaustedError extends HoldfastError {
  readonly code = 'RESILIENCE_RETRY_EXHAUSTED';
  /** In their order; never empty. */
  readonly attempts: readonly FailedAttempt[];
  readonly exhaustedBy: ExhaustedBy;

  constructor(name: string, attempts: readonly FailedAttempt[], exhaustedBy: ExhaustedBy) {
    const last = attempts.at(-1)?.error;
    const known = isHoldfastError(last) ? last : undefined;
    const count = `${attempts.length} ${attempts.length === 1 ? 'attempt' : 'attempts'}`;
    super(`${name}: ${count} failed and ${limits[exhaustedBy]}; the last failure is the cause`, {
      cause: last,
      ...(known?.outcome === undefined ? {} : { outcome: known.outcome }),
      ...(known?.retryAfterMs === undefined ? {} : { retryAfterMs: known.retryAfterMs }),
    });
    this.attempts = attempts;
    this.exhaustedBy = exhaustedBy;
  }
}
