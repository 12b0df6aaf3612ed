import { HoldfastError, type Outcome, propertyOf } from '@holdfast/foundation';
import { outcomeOf, worstOutcome } from '../attempt-outcomes.ts';
import { decisiveErrorsOf, strictest } from '../classify/decisive-errors.ts';
import { kindOf } from '../classify/transient.ts';

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

/**
 * What ended the retry: a limit; a failure that is not retryable, after others that were; or the refusal of a further
 * attempt by the circuit, the bulkhead or the close of the stack.
 */
export type ExhaustedBy = 'attempts' | 'time' | 'budget' | 'not-retryable' | 'refused';

const limits: Readonly<Record<ExhaustedBy, string>> = {
  attempts: 'no attempt is left',
  time: 'the total time allowed is over',
  budget: 'the retry budget is spent',
  'not-retryable': 'the last failure is not retryable',
  refused: 'a further one was refused',
};

/**
 * Every permitted attempt has failed. `cause` is the last failure; `outcome` is the worst of all attempts, `unknown`
 * for one whose error does not tell.
 */
export class RetryExhaustedError extends HoldfastError {
  readonly code = 'RESILIENCE_RETRY_EXHAUSTED';
  /** In their order; never empty. */
  readonly attempts: readonly FailedAttempt[];
  readonly exhaustedBy: ExhaustedBy;

  constructor(name: string, attempts: readonly FailedAttempt[], exhaustedBy: ExhaustedBy) {
    const last = attempts.at(-1)?.error;
    const retryAfterMs = propertyOf(strictest(decisiveErrorsOf(last))?.error, 'retryAfterMs');
    const outcome = worstOutcome(attempts.map((attempt) => attempt.error));
    const ended = `${failedOf(attempts)} and ${limits[exhaustedBy]}; the last failure is the cause`;
    super(`${name}: ${ended}${outcome === outcomeOf(last) ? '' : earlier(outcome)}`, {
      cause: last,
      outcome,
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    });
    this.attempts = attempts;
    this.exhaustedBy = exhaustedBy;
  }
}

/** A refused attempt did not run. */
function failedOf(attempts: readonly FailedAttempt[]): string {
  const ran = attempts.filter(({ error }) => kindOf(error) !== 'refused').length;
  if (ran === 0 && attempts.length > 0)
    return `${counted(attempts.length)} ${attempts.length === 1 ? 'was' : 'were'} refused`;
  return `${counted(ran)} failed`;
}

function counted(count: number): string {
  return `${count} ${count === 1 ? 'attempt' : 'attempts'}`;
}

function earlier(outcome: Outcome): string {
  const effect = outcome === 'applied' ? 'took effect' : 'may have taken effect';
  return `, but an earlier attempt ${effect}`;
}
