import type { Outcome } from '@holdfast/foundation';
import { decisiveErrorsOf, severities } from './classify/decisive-errors.ts';

/**
 * What is known of the effect of a failed attempt: only an error of Holdfast, the error itself or one behind it, can
 * say that there was none.
 */
export function outcomeOf(error: unknown): Outcome {
  const known = decisiveErrorsOf(error).flatMap(({ outcome }) => outcome ?? []);
  return known.length === 0 ? 'unknown' : worst(known);
}

/** Whether a caller that sees only `shown` would take less for possible than has happened with `hidden`. */
export function hides(shown: unknown, hidden: unknown): boolean {
  return severities.indexOf(outcomeOf(shown)) < severities.indexOf(outcomeOf(hidden));
}

/** The outcome of a call of which these attempts failed: it took effect if one of them did. */
export function worstOutcome(errors: readonly unknown[]): Outcome {
  return worst(errors.map((error) => outcomeOf(error)));
}

function worst(outcomes: readonly Outcome[]): Outcome {
  return severities.findLast((outcome) => outcomes.includes(outcome)) ?? 'not-applied';
}
