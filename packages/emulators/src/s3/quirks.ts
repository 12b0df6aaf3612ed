import { type OptionRule, boolean, object, oneOf } from '@holdfast/foundation';
import { s3Error } from './wire/error.ts';
import type { S3Request } from './wire/request.ts';

const SUPPORT = ['checked', 'ignored', 'refused', 'invalid'] as const;
/** `refused`: answered with 501 NotImplemented; `invalid`: with 400 InvalidArgument. */
type S3Support = (typeof SUPPORT)[number];

/** How a server differs from S3. */
export interface S3Quirks {
  /** `If-None-Match` of a write. Default `checked`. */
  readonly absent?: S3Support;
  /** `If-Match` of a write. Default `checked`. */
  readonly match?: S3Support;
  /** Compares `If-Match` with the ETag without quotes, so that a quoted one never matches. Default false. */
  readonly plainETags?: boolean;
  /** Checksums other than Content-MD5. Default `checked`. */
  readonly checksums?: S3Support;
}

export const quirksRule: OptionRule<Required<S3Quirks>> = object({
  absent: oneOf(SUPPORT, 'checked'),
  match: oneOf(SUPPORT, 'checked'),
  plainETags: boolean(false),
  checksums: oneOf(SUPPORT, 'checked'),
});

/**
 * The request as a server with these quirks understands it.
 * @throws S3Error NotImplemented, InvalidArgument, PreconditionFailed
 */
export function withQuirks(request: S3Request, quirks: Required<S3Quirks>): S3Request {
  const hidden = new Set<string>();
  const isWrite = request.method === 'PUT' || request.method === 'POST';
  const meet = (support: S3Support, names: readonly string[]): void => {
    const given = names.filter((name) => request.header(name) !== undefined);
    if (!isWrite || given.length === 0) return;
    if (support === 'refused') throw s3Error('NotImplemented');
    if (support === 'invalid') throw s3Error('InvalidArgument', `Unsupported header: ${given[0]}`);
    if (support === 'ignored') for (const name of given) hidden.add(name);
  };
  meet(quirks.absent, ['if-none-match']);
  meet(quirks.match, ['if-match']);
  meet(quirks.checksums, CHECKSUM_HEADERS);
  if (isWrite && quirks.plainETags && request.header('if-match')?.includes('"') === true) {
    throw s3Error('PreconditionFailed');
  }
  return hidden.size === 0
    ? request
    : { ...request, header: (name) => (hidden.has(name) ? undefined : request.header(name)) };
}

const CHECKSUM_HEADERS: readonly string[] = [
  ...['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256', 'algorithm'].map(
    (name) => `x-amz-checksum-${name}`,
  ),
  'x-amz-sdk-checksum-algorithm',
  'x-amz-trailer',
];
