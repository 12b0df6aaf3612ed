import { propertyOf, retryAfterMsOf } from '@holdfast/foundation';
import { type StorageFailure, type FailureKind, fail } from '../../backend.ts';
import { failedBeforeSending, networkCodeOf } from '../network-errors.ts';

/** S3's error codes, which the SDK gives as the error's `name`. */
const kindsOfNames: Readonly<Record<string, FailureKind>> = {
  NoSuchKey: 'notFound',
  NotFound: 'notFound',
  NoSuchBucket: 'notFound',
  NoSuchUpload: 'notFound',
  PreconditionFailed: 'conflict',
  ConditionalRequestConflict: 'conflict',
  AccessDenied: 'denied',
  AllAccessDisabled: 'denied',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  ExpiredToken: 'denied',
  InvalidToken: 'denied',
  CredentialsProviderError: 'denied',
  // Sent with 403; the SDK corrects its clock offset by the response.
  RequestTimeTooSkewed: 'transient',
  EntityTooLarge: 'invalid',
  InvalidArgument: 'invalid',
  InvalidRequest: 'invalid',
  NotImplemented: 'invalid',
  KeyTooLongError: 'invalid',
  // The bytes were changed on the way.
  BadDigest: 'transient',
  InvalidDigest: 'transient',
  IncompleteBody: 'transient',
  XAmzContentSHA256Mismatch: 'transient',
  InternalError: 'transient',
  ServiceUnavailable: 'transient',
  SlowDown: 'transient',
  TooManyRequests: 'transient',
  RequestTimeout: 'transient',
  OperationAborted: 'transient',
};

/** Classifies an error of the SDK; a failed read never leaves anything in doubt. */
export function classifyS3Error(
  error: unknown,
  effect: 'read' | 'write',
  epochMs: number,
): StorageFailure {
  const name = propertyOf(error, 'name');
  const status = propertyOf(propertyOf(error, '$metadata'), 'httpStatusCode');
  const known = typeof name === 'string' ? kindsOfNames[name] : undefined;
  const retryAfterMs = retryAfterMsOf(error, epochMs);
  if (known !== undefined || typeof status === 'number') {
    const shown = typeof status === 'number' ? `HTTP ${status}` : 'no status';
    const kind = known ?? kindOfStatus(Number(status), effect);
    const code = typeof name === 'string' ? name : undefined;
    return fail(kind, `${shown} ${String(name)}`, { code, cause: error, retryAfterMs });
  }
  const code = networkCodeOf(error) ?? (typeof name === 'string' ? name : undefined);
  const unsent = effect === 'read' || failedBeforeSending(code);
  return fail(unsent ? 'transient' : 'unknown', `no response (${code ?? 'no code'})`, {
    code,
    cause: error,
  });
}

function kindOfStatus(status: number, effect: 'read' | 'write'): FailureKind {
  if (status === 404) return 'notFound';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 401 || status === 403) return 'denied';
  if (status === 408 || status === 429) return 'transient';
  // A refusal, not an outage: it will never implement what was asked.
  if (status === 501) return 'invalid';
  // A gateway timed out, but the server may still apply the write; or a success could not be read.
  if (status === 502 || status === 504 || status < 400) {
    return effect === 'write' ? 'unknown' : 'transient';
  }
  return status >= 500 ? 'transient' : 'invalid';
}
