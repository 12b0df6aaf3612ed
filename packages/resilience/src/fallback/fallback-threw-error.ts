import { HoldfastError } from '@holdfast/foundation';
import { outcomeOf } from '../attempt-outcomes.ts';
import { isTransient } from '../classify/transient.ts';

/**
 * The work failed, and so did the fallback function, with an error that says less was done than the work may have
 * done. `cause` is the failure of the work, and `outcome` its outcome.
 */
export class FallbackThrewError extends HoldfastError {
  readonly code = 'RESILIENCE_FALLBACK_THREW';
  readonly fallbackError: unknown;

  constructor(failure: unknown, fallbackError: unknown) {
    super('the work failed, which is the cause, and so did its fallback', {
      cause: failure,
      outcome: outcomeOf(failure),
      retryable: isTransient(failure),
    });
    this.fallbackError = fallbackError;
  }
}
