import { parseRetryAfter } from '@holdfast/foundation';
import { type StorageFailure, type FailureKind, fail } from '../../backend.ts';
import { failedBeforeSending, networkCodeOf } from '../network-errors.ts';

/** What a call may have changed: a failed read never leaves anything in doubt. */
export type Effect = 'read' | 'write';

/**
 * The server's own codes. It sends HTTP 400 for most of its errors, also for those that time will mend,
 * so the code goes before the status of the body, and that before the status of the answer.
 */
const kindsOfCodes: Readonly<Record<string, FailureKind>> = {
  NoSuchKey: 'notFound',
  NoSuchBucket: 'notFound',
  NoSuchUpload: 'notFound',
  KeyAlreadyExists: 'conflict',
  ResourceAlreadyExists: 'conflict',
  AccessDenied: 'denied',
  InvalidJWT: 'denied',
  SignatureDoesNotMatch: 'denied',
  InvalidSignature: 'denied',
  TenantNotFound: 'denied',
  InvalidKey: 'invalid',
  InvalidBucketName: 'invalid',
  EntityTooLarge: 'invalid',
  InvalidMimeType: 'invalid',
  SlowDown: 'transient',
  TooManyRequests: 'transient',
  InternalError: 'transient',
  DatabaseTimeout: 'transient',
  DatabaseReadOnly: 'transient',
  DatabaseError: 'transient',
  LockTimeout: 'transient',
  ResourceLocked: 'transient',
  S3Error: 'transient',
};

/** Classifies a response other than success. */
export function classifyResponse(
  response: { readonly status: number; readonly headers: Headers },
  text: string,
  effect: Effect,
  epochMs: number,
): StorageFailure {
  const { status, headers } = response;
  const body = parseErrorBody(text);
  const stated = Number(body?.['statusCode']);
  const real = stated >= 400 && stated < 600 ? stated : status;
  const code = textOf(body?.['code']) ?? codeOfOldServers(body);
  const header = headers.get('retry-after');
  const retryAfterMs = header === null ? undefined : parseRetryAfter(header, epochMs);
  const message = `HTTP ${status}${code === undefined ? '' : ` ${code}`}${real === status ? '' : ` (${real})`}`;
  const known = code === undefined ? undefined : kindsOfCodes[code];
  const kind = known ?? (body === undefined ? kindOfBareStatus(real, effect) : kindOfStatus(real));
  return fail(kind, message, { code, retryAfterMs });
}

function kindOfStatus(status: number): FailureKind {
  if (status === 404 || status === 410) return 'notFound';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 401 || status === 403 || status === 407) return 'denied';
  if (status === 408 || status === 423 || status === 425 || status === 429) return 'transient';
  return status >= 500 ? 'transient' : 'invalid';
}

/** A response without a body of the server comes from a gateway, or was truncated. */
function kindOfBareStatus(status: number, effect: Effect): FailureKind {
  // The server responds with 400 to nearly every error; the missing body would name it.
  if (status === 400) return 'transient';
  // A gateway timed out, but the server may still apply the write; a redirect comes from a captive portal.
  if (status === 502 || status === 504 || status < 400) {
    return effect === 'write' ? 'unknown' : 'transient';
  }
  return kindOfStatus(status);
}

/** Classifies a request without a response, or a response without its body. */
export function classifyThrown(error: unknown, effect: Effect): StorageFailure {
  const code = networkCodeOf(error);
  const unsent = effect === 'read' || failedBeforeSending(code);
  return fail(unsent ? 'transient' : 'unknown', `no response (${code ?? 'no code'})`, {
    code,
    cause: error,
  });
}

/** A response with the status of a success that does not prove one. */
export function unproven(effect: Effect, seen: string, cause?: unknown): StorageFailure {
  return fail(effect === 'write' ? 'unknown' : 'transient', `HTTP 200 with ${seen}`, { cause });
}

function parseErrorBody(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Servers that omit `code` still name the error. */
function codeOfOldServers(body: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const name = textOf(body?.['error']);
  if (name === 'Duplicate') return 'KeyAlreadyExists';
  if (name === 'Payload too large') return 'EntityTooLarge';
  return name !== undefined && Object.hasOwn(kindsOfCodes, name) ? name : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
