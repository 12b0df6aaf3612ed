import { HoldfastError, type HoldfastErrorDetails } from '@holdfast/foundation';

/** The base of what a request to the API ends with. `path` has no host, and the key is in no error. */
export abstract class CatalogApiError extends HoldfastError {
  readonly path: string;
  /** Of the response, if there was one. */
  readonly status?: number;

  constructor(path: string, seen: string, details: HoldfastErrorDetails & { status?: number }) {
    super(`catalog: GET ${path} ${seen}`, { outcome: 'not-applied', ...details });
    this.path = path;
    if (details.status !== undefined) this.status = details.status;
  }
}

/** 401 or 403: the key is not valid, or this address may not call. It is not tried again. */
export class CatalogUnauthorizedError extends CatalogApiError {
  readonly code = 'CATALOG_API_UNAUTHORIZED';

  constructor(path: string, status: number, message: string) {
    super(path, `was answered ${status} (${message}); check apiKey and the allowed addresses`, {
      status,
    });
  }
}

/** 5xx, at every attempt: the API is down. `retryAfterMs` is what it asks for. */
export class CatalogServerError extends CatalogApiError {
  readonly code = 'CATALOG_API_UNAVAILABLE';

  constructor(path: string, status: number, message: string, retryAfterMs?: number) {
    super(path, `was answered ${status} (${message}); retry later`, {
      status,
      retryable: true,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}

/** 429 again and again, or a pause until the limit is renewed that is longer than permitted. */
export class CatalogRateLimitedError extends CatalogApiError {
  readonly code = 'CATALOG_API_RATE_LIMITED';
  declare readonly retryAfterMs: number;

  constructor(path: string, retryAfterMs: number, refusals: number) {
    const seen =
      refusals === 0 ? 'has used up the rate limit' : `was answered 429 ${refusals} times`;
    super(path, `${seen}; retry in ${retryAfterMs} ms`, {
      status: 429,
      retryable: true,
      retryAfterMs,
    });
  }
}

/** The last byte has not arrived within the deadline, at every attempt. */
export class CatalogTimeoutError extends CatalogApiError {
  readonly code = 'CATALOG_API_TIMEOUT';
  readonly timeoutMs: number;

  constructor(path: string, timeoutMs: number, cause?: unknown) {
    super(path, `had no whole answer within ${timeoutMs} ms; retry later`, {
      retryable: true,
      ...(cause === undefined ? {} : { cause }),
    });
    this.timeoutMs = timeoutMs;
  }
}

/** No connection, or it broke before the last byte, at every attempt. */
export class CatalogUnreachableError extends CatalogApiError {
  readonly code = 'CATALOG_API_UNREACHABLE';

  constructor(path: string, cause: unknown) {
    super(path, 'found no server, or lost it; `cause` says how', { retryable: true, cause });
  }
}

/** Another status than expected, such as 400 or 404. */
export class CatalogRequestRefusedError extends CatalogApiError {
  readonly code = 'CATALOG_API_REFUSED';

  constructor(path: string, status: number, message: string) {
    super(path, `was answered ${status} (${message}); check baseUrl and the version of the API`, {
      status,
    });
  }
}

/** A response with 200 that is no JSON, too large, or not of the documented form. */
export class CatalogMalformedError extends CatalogApiError {
  readonly code = 'CATALOG_API_MALFORMED';
  /** What is wrong, such as `bundles is missing`. */
  readonly reason: string;

  constructor(path: string, reason: string, cause?: unknown) {
    super(path, `was answered with what is no page: ${reason}; retry later`, {
      retryable: true,
      ...(cause === undefined ? {} : { cause }),
    });
    this.reason = reason;
  }
}

/** The base of what keeps a group that was fetched from being used. */
export abstract class CatalogGroupError extends HoldfastError {
  readonly group: string;

  constructor(group: string, seen: string, retryable: boolean) {
    super(`catalog: group ${JSON.stringify(group)} ${seen}; the last good one is kept`, {
      retryable,
      outcome: 'not-applied',
    });
    this.group = group;
  }
}

/**
 * - `rows-changed`: the stated number of rows changed from one page to another.
 * - `rows-missing`, `rows-added`: fewer or more rows came than are stated.
 * - `duplicates`: names came on two pages.
 * - `repeated-page`: a page came again under another number.
 * - `endless`: there are more pages than permitted.
 */
export type DriftKind =
  | 'rows-changed'
  | 'rows-missing'
  | 'rows-added'
  | 'duplicates'
  | 'repeated-page'
  | 'endless';

/** The pages of a group do not fit together, after the tail and then all of it was fetched again. */
export class CatalogDriftError extends CatalogGroupError {
  readonly code = 'CATALOG_GROUP_DRIFTED';
  readonly reason: DriftKind;
  readonly page: number;

  constructor(group: string, reason: DriftKind, page: number, seen: string) {
    super(group, `has pages that do not fit together (${reason} at page ${page}: ${seen})`, true);
    this.reason = reason;
    this.page = page;
  }
}

/** More rows of a group were rejected than are permitted. */
export class CatalogRowsRejectedError extends CatalogGroupError {
  readonly code = 'CATALOG_ROWS_REJECTED';
  readonly rejected: number;
  readonly rows: number;

  constructor(group: string, rejected: number, rows: number, permittedShare: number) {
    super(
      group,
      `has ${rejected} rejected rows of ${rows}, and ${permittedShare * 100} % are permitted`,
      true,
    );
    this.rejected = rejected;
    this.rows = rows;
  }
}

/** A group has lost more rows since the last generation than are permitted. */
export class CatalogShrunkError extends CatalogGroupError {
  readonly code = 'CATALOG_GROUP_SHRUNK';
  readonly rows: number;
  readonly previousRows: number;

  constructor(group: string, rows: number, previousRows: number) {
    super(
      group,
      `has ${rows} rows after ${previousRows}; if that is right, fetch with allowShrink: true`,
      false,
    );
    this.rows = rows;
    this.previousRows = previousRows;
  }
}

/** The client was closed. */
export class CatalogClientClosedError extends HoldfastError {
  readonly code = 'CATALOG_CLIENT_CLOSED';

  constructor() {
    super('catalog: the client is closed; create another one', { outcome: 'not-applied' });
  }
}
