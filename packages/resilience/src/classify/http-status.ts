import { propertyOf } from '@holdfast/foundation';
import type { ErrorKind } from './error-kind.ts';

/** The kind of an HTTP status; `undefined` for a status that is not a failure. */
export function classifyStatus(status: number): ErrorKind | undefined {
  if (status < 400 || status > 599) return undefined;
  switch (status) {
    case 408:
      return 'network_timeout';
    case 429:
      return 'rate_limited';
    case 501:
    case 505:
      return 'client_error';
    case 503:
      return 'service_unavailable';
    case 504:
      return 'gateway_timeout';
    default:
      return status < 500 ? 'client_error' : 'server_error';
  }
}

/**
 * The HTTP status of an error, from one of the properties that clients use. Supabase Storage sends most errors as HTTP
 * 400 with the true status in the body, which its client copies to `statusCode` as a string; so that one comes first.
 */
export function httpStatusOf(error: object): number | undefined {
  return (
    statusIn(error, 'statusCode') ??
    statusIn(error, 'status') ??
    statusWithin(error, 'response', 'status') ??
    statusWithin(error, 'response', 'statusCode') ??
    statusWithin(error, '$metadata', 'httpStatusCode') ??
    statusWithin(error, '$response', 'statusCode')
  );
}

function statusWithin(error: object, outer: string, key: string): number | undefined {
  const inner = propertyOf(error, outer);
  return inner === undefined ? undefined : statusIn(inner, key);
}

function statusIn(value: unknown, key: string): number | undefined {
  const status = propertyOf(value, key);
  if (typeof status !== 'number' && typeof status !== 'string') return undefined;
  return /^[1-5]\d\d$/.test(String(status)) ? Number(status) : undefined;
}
