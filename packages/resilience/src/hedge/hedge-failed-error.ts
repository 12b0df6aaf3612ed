import { HoldfastError } from '@holdfast/foundation';
import { outcomeOf, worstOutcome } from '../attempt-outcomes.ts';
import { isRefusal } from '../classify/classify-error.ts';
import { isTransient } from '../classify/transient.ts';

/** An attempt of a hedged call that failed. */
export interface FailedHedge {
  /** 1 for the first. */
  readonly attemptNumber: number;
  readonly error: unknown;
}

/**
 * Every attempt of a hedged call has failed. `cause` is the failure of which `outcome`, the worst of all, is told; it
 * is retryable if all of them are.
 */
export class HedgeFailedError extends HoldfastError {
  readonly code = 'RESILIENCE_HEDGE_FAILED';
  /** In the order of their start. */
  readonly attempts: readonly FailedHedge[];

  constructor(attempts: readonly FailedHedge[]) {
    const errors = attempts.map((attempt) => attempt.error);
    const outcome = worstOutcome(errors);
    super(`all ${attempts.length} attempts failed; the one with the worst outcome is the cause`, {
      cause: errors.find((error) => outcomeOf(error) === outcome && !isRefusal(error)),
      retryable: errors.every(isTransient),
      outcome,
    });
    this.attempts = attempts;
  }
}

/** The error of a call all of whose attempts have failed: that of a single one, or the first if none was started. */
export function failureOfHedge(failed: readonly FailedHedge[]): unknown {
  const [first] = failed;
  if (failed.length === 1 || failed.every(({ error }) => isRefusal(error))) return first?.error;
  return new HedgeFailedError(failed.toSorted((a, b) => a.attemptNumber - b.attemptNumber));
}
