import { type HoldfastError, isHoldfastError } from '@holdfast/foundation';
import { QueueFullError } from '../errors.ts';

/** The fallback has no room. */
export function isJournalFull(error: unknown): error is HoldfastError {
  return isHoldfastError(error) && error.code === 'JOURNAL_FULL';
}

/** What the caller of a job hears that the fallback did not take. */
export function toEnqueueError(error: unknown, wasSent: boolean): unknown {
  if (!isJournalFull(error)) return error;
  return new QueueFullError('fallback', `Redis takes no jobs and ${error.message}`, {
    cause: error,
    outcome: wasSent ? 'unknown' : 'not-applied',
  });
}
