import { HoldfastError } from '@holdfast/foundation';

/** How much of a request had been handed to a connection: only after `none` is it certain that nothing was done. */
export type Written = 'none' | 'partial' | 'all';

/** Where a call failed: before it was sent, while connecting, sending, waiting for the answer, reading it, or following it. */
export type FetchStage = 'admission' | 'connect' | 'request' | 'headers' | 'body' | 'redirect';

/** The server of a failed call, without path, query and credentials. */
export interface FetchEndpoint {
  readonly origin: string;
  /** The IP address that was connected, if any was. */
  readonly address?: string;
}

/** What an error of a fetch tells beside its message. */
export interface FetchErrorDetails {
  readonly where: FetchStage;
  /** Of all attempts of the call, the most. */
  readonly written: Written;
  readonly endpoint: FetchEndpoint;
  readonly cause?: unknown;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

/** The base of the errors of one call; `code` tells them apart. */
export abstract class FetchError extends HoldfastError {
  readonly where: FetchStage;
  readonly written: Written;
  readonly endpoint: FetchEndpoint;

  constructor(message: string, details: FetchErrorDetails) {
    const { where, written, endpoint, retryable, retryAfterMs } = details;
    super(`${endpoint.origin}: ${message}`, {
      ...('cause' in details ? { cause: details.cause } : {}),
      retryable: retryable ?? false,
      outcome: written === 'none' ? 'not-applied' : 'unknown',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    this.where = where;
    this.written = written;
    this.endpoint = endpoint;
  }
}

/**
 * No connection, or it broke before the answer; or the request's own body failed. `cause` is what the dialer said, such as
 * `TlsRefusedError`, `PrivateAddressError` or `NameError`, or the error of connection or body.
 */
export class FetchFailedError extends FetchError {
  readonly code = 'NETWORK_FETCH_FAILED';
}

/** The deadline passed: it covers all from the call to the last byte of the body. */
export class FetchTimeoutError extends FetchError {
  readonly code = 'NETWORK_FETCH_TIMEOUT';
}

/** The circuit of the origin is open, or too many calls wait for it; nothing was sent. */
export class FetchRefusedError extends FetchError {
  readonly code = 'NETWORK_FETCH_REFUSED';
}

/** The body ended before its end: by its length, its chunks or its content encoding. */
export class TruncatedBodyError extends FetchError {
  readonly code = 'NETWORK_TRUNCATED_BODY';
}

/** The body is not what its content encoding says: damaged, or with bytes after its end. */
export class DamagedBodyError extends FetchError {
  readonly code = 'NETWORK_DAMAGED_BODY';
}

/** The body is larger than `maxBodyBytes`; it was stopped there. */
export class BodyTooLargeError extends FetchError {
  readonly code = 'NETWORK_BODY_TOO_LARGE';
}

/** The server asks for a pause that is longer than the call's deadline; see `retryAfterMs`. */
export class RetryLaterError extends FetchError {
  readonly code = 'NETWORK_RETRY_LATER';
  readonly status: number;
  declare readonly retryAfterMs: number;

  constructor(status: number, retryAfterMs: number, details: FetchErrorDetails) {
    super(
      `answered ${status} and asks to retry in ${retryAfterMs} ms, which is after the deadline`,
      { ...details, retryable: true, retryAfterMs },
    );
    this.status = status;
  }
}

/** Why a redirect was not followed. */
export type RedirectRefusal =
  | 'too-many'
  | 'insecure'
  | 'scheme'
  | 'invalid-location'
  | 'credentials'
  | 'body-not-replayable'
  | 'not-allowed';

/** A redirect that is not followed; `reason` says why. */
export class RedirectRefusedError extends FetchError {
  readonly code = 'NETWORK_REDIRECT_REFUSED';
  readonly reason: RedirectRefusal;

  constructor(reason: RedirectRefusal, explained: string, details: FetchErrorDetails) {
    super(explained, details);
    this.reason = reason;
  }
}
