import { type Outcome, innerErrorsOf, isHoldfastError, propertyOf } from '@holdfast/foundation';

/** An error that says itself whether the call took effect, or whether to repeat it. */
export interface DecisiveError {
  readonly error: object;
  readonly retryable: boolean;
  /** Absent for an error of Holdfast that does not tell. */
  readonly outcome: Outcome | undefined;
}

/** From the least to the most that may have happened. */
export const severities: readonly Outcome[] = ['not-applied', 'unknown', 'applied'];

/** So many errors are looked at; only a tree of many branches has more. */
const MAX_ERRORS = 1_000;

/**
 * The first errors with an `outcome` on the way from the error to its causes, however deep: one for a chain, one a
 * branch for an AggregateError. Fields decide and not the class, because ORMs copy them to errors of their own. An
 * error of Holdfast without an outcome is among them too, and what is behind it.
 */
export function decisiveErrorsOf(error: unknown): readonly DecisiveError[] {
  const found: DecisiveError[] = [];
  const first = asObject(error);
  if (first === undefined) return found;
  const pending = [first];
  const seen = new Set<object>(pending);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const decisive = decisiveOf(next);
    if (decisive !== undefined) found.push(decisive);
    if (decisive?.outcome !== undefined) continue;
    for (const inner of innerErrorsOf(next).toReversed()) {
      if (seen.has(inner) || seen.size >= MAX_ERRORS) continue;
      seen.add(inner);
      pending.push(inner);
    }
  }
  return found;
}

/** The one that permits the least: of several branches, and of an error of Holdfast and what is behind it. */
export function strictest(errors: readonly DecisiveError[]): DecisiveError | undefined {
  let chosen: DecisiveError | undefined;
  for (const each of errors) {
    if (chosen === undefined || strictness(each) > strictness(chosen)) chosen = each;
  }
  return chosen;
}

export function isDecisive(error: object): boolean {
  return decisiveOf(error) !== undefined;
}

function strictness({ retryable, outcome }: DecisiveError): number {
  const severity = outcome === undefined ? -1 : severities.indexOf(outcome);
  return (retryable ? 0 : severities.length) + severity;
}

function decisiveOf(error: object): DecisiveError | undefined {
  const outcome = severities.find((known) => known === propertyOf(error, 'outcome'));
  const retryable = propertyOf(error, 'retryable');
  const isOwn = isHoldfastError(error);
  if (!isOwn && (outcome === undefined || typeof retryable !== 'boolean')) return undefined;
  return { error, retryable: retryable === true, outcome };
}

function asObject(value: unknown): object | undefined {
  return typeof value === 'object' && value !== null ? value : undefined;
}
