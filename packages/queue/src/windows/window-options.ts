import { InvalidOptionError, type OptionRule, integer, optional } from '@holdfast/foundation';

export const MAX_EXPIRY_MS: number = 3_650 * 86_400_000;

/** The options of `enqueue` that concern until when a job is worth running. */
export interface WindowOptions {
  /**
   * How long the job is worth running, in milliseconds from its `enqueue`, by the wall clocks of the producer and of the
   * consumer. One that is older when it would be started, for the first time or again, is dropped, with the event
   * `expired` and `getStats().expired`; time in the fallback counts. More than `delayMs`. Default: for ever.
   */
  expiresInMs?: number;
}

/** These options, validated. */
export interface ResolvedWindowOptions {
  readonly expiresInMs: number | undefined;
}

export const windowShape: { expiresInMs: OptionRule<number | undefined> } = {
  expiresInMs: optional(integer({ min: 1, max: MAX_EXPIRY_MS })),
};

const NONE = {};

/** What a submission has of them. @throws InvalidOptionError for a job that would have expired before it is due. */
export function windowsOf(
  { expiresInMs }: ResolvedWindowOptions,
  delayMs: number,
): { readonly expiresInMs?: number } {
  if (expiresInMs === undefined) return NONE;
  if (expiresInMs <= delayMs) {
    const permitted = `more than delayMs (${delayMs}), at which the job is due`;
    throw new InvalidOptionError('enqueue', 'expiresInMs', expiresInMs, permitted);
  }
  return { expiresInMs };
}
