import { HoldfastError, describeThrown } from '@holdfast/foundation';

/** Another process syncs. */
export class CatalogLockedError extends HoldfastError {
  readonly code = 'CATALOG_LOCKED';

  /** @param retryAfterMs when its lease ends unless it is renewed; `undefined` where the lock cannot tell. */
  constructor(lock: string, retryAfterMs?: number) {
    super(
      `catalog: the lock in ${lock} is held by another process, which syncs; its generation will come`,
      { retryable: true, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    );
  }
}

/** Whether anyone holds the lock cannot be told: nobody may sync, and what is there goes on being served. */
export class CatalogLockUnavailableError extends HoldfastError {
  readonly code = 'CATALOG_LOCK_UNAVAILABLE';

  constructor(lock: string, cause: unknown) {
    super(
      `catalog: the lock in ${lock} cannot be had (${describeThrown(cause)}); no sync begins without it`,
      { cause },
    );
  }
}

/** The lock was closed. */
export class CatalogLockClosedError extends HoldfastError {
  readonly code = 'CATALOG_LOCK_CLOSED';

  constructor(lock: string) {
    super(`catalog: the lock in ${lock} is closed; create another one`, { outcome: 'not-applied' });
  }
}

/** The lease has ended while its holder worked: what it has staged must not be published. */
export class CatalogLockLostError extends HoldfastError {
  readonly code = 'CATALOG_LOCK_LOST';

  constructor(lock: string, token: number) {
    super(
      `catalog: the lease ${token} of the lock in ${lock} was lost; the sync ends without a publication`,
    );
  }
}
