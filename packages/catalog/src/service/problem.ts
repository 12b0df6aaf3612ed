import { STATUS_CODES } from 'node:http';
import { describeThrown, hideCredentials, isHoldfastError, propertyOf } from '@holdfast/foundation';
import { InvalidQueryError } from '../search/errors.ts';

/** The body of an error response, after RFC 9457. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** As in the errors of the library: for programs to switch on. */
  readonly code: string;
  /** Of a 400: the filter, its value and what is permitted. */
  readonly filter?: string;
  readonly value?: unknown;
  readonly permitted?: string;
  /** Of a 503: the tiers that were asked. */
  readonly attempts?: readonly AttemptBody[];
}

export interface AttemptBody {
  readonly tier: string;
  readonly cause: string;
  readonly ms: number;
}

/** A URL may have so many characters of a value; the problem repeats fewer. */
const MAX_VALUE = 100;
const MAX_TEXT = 500;

/** Errors with which the same request may succeed later. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['CATALOG_UNAVAILABLE', 'CATALOG_CLOSED']);

/** What a client is told of an error; nothing of an unexpected one. */
export function problemOf(error: unknown): Problem {
  if (error instanceof InvalidQueryError) {
    const { field, permitted, message, code } = error;
    const value = typeof error.value === 'string' ? error.value.slice(0, MAX_VALUE) : error.value;
    return { ...problem(400, message, code), filter: field, value, permitted };
  }
  if (isHoldfastError(error) && (error.retryable || UNAVAILABLE.has(error.code))) {
    const attempts = propertyOf(error, 'attempts');
    const found = problem(503, textOf(error.message), error.code);
    return Array.isArray(attempts) ? { ...found, attempts: attempts.map(attemptBody) } : found;
  }
  const status = propertyOf(error, 'statusCode');
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return problem(status, textOf(propertyOf(error, 'message')), 'HTTP_REQUEST_REFUSED');
  }
  return problem(500, 'an unexpected error; the log of the service has it', 'INTERNAL');
}

export function problem(status: number, detail: string, code: string): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  return { type: 'about:blank', title, status, detail, code };
}

export function attemptBody(attempt: unknown): AttemptBody {
  return {
    tier: String(propertyOf(attempt, 'tier')),
    cause: textOf(propertyOf(attempt, 'cause')),
    ms: Number(propertyOf(attempt, 'ms')),
  };
}

/** Of an error or a text, without credentials. */
export function textOf(thrown: unknown): string {
  const text = propertyOf(thrown, 'message') ?? thrown;
  return hideCredentials(describeThrown(text)).slice(0, MAX_TEXT);
}
