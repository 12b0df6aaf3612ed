import { describeThrown, propertyOf, retryAfterMsOf } from '@holdfast/foundation';
import { SiteStoreError } from '../../errors.ts';

const DENIED = new Set([401, 403]);
const CONFLICTS = new Set([409, 412]);
const FIRST_SERVER_ERROR = 500;

/** The HTTP status that a call of client-s3 rejected with; `undefined` when no answer came. */
export function statusOf(error: unknown): number | undefined {
  const status = propertyOf(propertyOf(error, '$metadata'), 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/** Whether the object, not the bucket, is missing. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && !isMissingBucket(error);
}

/** Whether the condition of a write did not hold, or another write was under way. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(statusOf(error) ?? 0);
}

/** What a failed call means. A name such as `AccessDenied` also comes within an answer of 200. */
export function toStoreError(what: string, error: unknown, epochMs: number): SiteStoreError {
  const status = statusOf(error);
  const name = error instanceof Error ? error.name : describeThrown(error);
  const said = `${what}: ${name}${status === undefined ? '' : ` (${status})`}`;
  const retryAfterMs = retryAfterMsOf(error, epochMs);
  const details = { cause: error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (isMissingBucket(error)) return new SiteStoreError('missing-bucket', said, details);
  if (DENIED.has(status ?? 0)) return new SiteStoreError('denied', denied(said), details);
  if (status === undefined) return new SiteStoreError('network', said, details);
  if (status >= FIRST_SERVER_ERROR || status === 429) {
    return new SiteStoreError('unavailable', said, details);
  }
  return new SiteStoreError('conflict', said, details);
}

function denied(said: string): string {
  return `${said}: Access Denied`;
}

function isMissingBucket(error: unknown): boolean {
  return propertyOf(error, 'name') === 'NoSuchBucket';
}
