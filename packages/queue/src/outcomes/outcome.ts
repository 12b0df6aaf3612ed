import {
  ResultExpiredError,
  ResultFailedError,
  ResultNotKeptError,
  type ResultNotKeptReason,
} from './errors.ts';
import type { OutcomeState } from './outcome-store.ts';

/** How a job ended. */
export type JobOutcome =
  /** Its handler returned this; absent for `undefined`. */
  | { readonly kind: 'returned'; readonly json?: string }
  /** It became a dead letter. */
  | { readonly kind: 'failed'; readonly reason: string; readonly attempts: number }
  /** It was handled, and what its handler returned is not there. */
  | { readonly kind: 'not-kept'; readonly why: ResultNotKeptReason; readonly seen: string };

const RETURNED = '=';
const FAILED = '!';

/** As stores keep it: one character for the kind, then JSON. */
export function encodeOutcome(outcome: JobOutcome): string {
  if (outcome.kind === 'returned') return `${RETURNED}${outcome.json ?? ''}`;
  if (outcome.kind === 'failed') {
    return FAILED + JSON.stringify([outcome.reason, outcome.attempts]);
  }
  return `?${JSON.stringify([outcome.why, outcome.seen])}`;
}

/**
 * The JSON of what the handler returned; `undefined` when the job has not ended.
 * @returns an object, because a handler may return `undefined`.
 * @throws ResultFailedError, ResultNotKeptError, ResultExpiredError
 */
export function resultOf(
  topic: string,
  id: string,
  { outcome, isExpired }: OutcomeState,
): { readonly json: string } | undefined {
  if (outcome === undefined) {
    if (isExpired) throw new ResultExpiredError(topic, id);
    return undefined;
  }
  const content = outcome.slice(1);
  if (outcome.startsWith(RETURNED)) return { json: content };
  if (outcome.startsWith(FAILED)) {
    const [reason, attempts]: [string, number] = JSON.parse(content);
    throw new ResultFailedError(topic, id, reason, attempts);
  }
  const [why, seen]: [ResultNotKeptReason, string] = JSON.parse(content);
  throw new ResultNotKeptError(topic, id, why, seen);
}
