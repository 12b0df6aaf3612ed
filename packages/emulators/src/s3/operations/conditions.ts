import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';
import type { StoredObject } from '../store.ts';

/** The condition of a write on the existing object. */
export interface WriteCondition {
  /** @throws S3Error when the current object does not match. */
  check(current: StoredObject | undefined): void;
  readonly isAny: boolean;
}

/**
 * Parses If-None-Match (only `*`, as in S3) and If-Match of a write.
 * @throws S3Error NotImplemented for any other If-None-Match.
 */
export function writeCondition(request: S3Request): WriteCondition {
  const noneMatch = request.header('if-none-match');
  const match = request.header('if-match');
  if (noneMatch !== undefined && noneMatch !== '*') throw s3Error('NotImplemented');
  return {
    isAny: noneMatch === undefined && match === undefined,
    check(current) {
      if (noneMatch !== undefined && current !== undefined) throw s3Error('PreconditionFailed');
      if (match === undefined) return;
      if (current === undefined) throw s3Error('NoSuchKey');
      if (!lists(match, current.etag)) throw s3Error('PreconditionFailed');
    },
  };
}

/** Evaluates the conditions of a read (RFC 9110, section 13.2.2). */
export function evaluateReadConditions(
  header: (name: string) => string | undefined,
  { etag, modifiedMs }: Pick<StoredObject, 'etag' | 'modifiedMs'>,
): 'send' | 'not-modified' | 'failed' {
  const [match, noneMatch] = [header('if-match'), header('if-none-match')];
  // HTTP dates have no milliseconds.
  const modifiedS = Math.floor(modifiedMs / 1_000);
  const since = (name: string): number => Math.floor(Date.parse(header(name) ?? '') / 1_000);
  if (match !== undefined ? !lists(match, etag) : modifiedS > since('if-unmodified-since')) {
    return 'failed';
  }
  if (noneMatch !== undefined) return lists(noneMatch, etag) ? 'not-modified' : 'send';
  return modifiedS <= since('if-modified-since') ? 'not-modified' : 'send';
}

function lists(header: string, etag: string): boolean {
  return header
    .split(',')
    .map((each) => each.trim().replace(/^W\//, ''))
    .some((each) => each === '*' || each.replaceAll('"', '') === etag);
}
