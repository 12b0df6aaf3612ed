import { type Outcome, isHoldfastError, propertyOf } from '@holdfast/foundation';
import { CatalogFencedError, CatalogStoreError, type StoreFailure } from '../errors.ts';
import { reasonOfSqlState } from '../sql-reasons.ts';

const CODES: Readonly<Record<string, StoreFailure>> = {
  DATABASE_QUERY_TIMEOUT: 'timeout',
  DATABASE_POOL_OVERLOADED: 'timeout',
  DATABASE_ACQUIRE_TIMEOUT: 'timeout',
  DATABASE_CLOSED: 'closed',
  DATABASE_QUERY_FAILED: 'refused',
};

function reasonOf(error: unknown): StoreFailure {
  const sqlState = propertyOf(error, 'sqlState') ?? propertyOf(error, 'code');
  const known = typeof sqlState === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(sqlState);
  const code = isHoldfastError(error) ? error.code : '';
  // A server that nobody reaches is not slow.
  const pool: unknown = propertyOf(error, 'pool');
  if (code === 'DATABASE_ACQUIRE_TIMEOUT' && propertyOf(pool, 'connectError') !== undefined) {
    return 'unreachable';
  }
  return (known ? (reasonOfSqlState(sqlState) ?? 'refused') : CODES[code]) ?? 'unreachable';
}

interface FailedCall {
  readonly store: string;
  /** What it did not do, such as `did not stage`. */
  readonly seen: string;
  readonly signal?: AbortSignal | undefined;
  readonly outcome?: Outcome;
}

/** The error of a store for one of the database, or of pg; the reason of the caller's signal stays itself. */
export function toStoreError(
  error: unknown,
  { store, seen, signal, outcome }: FailedCall,
): unknown {
  if (signal?.aborted === true && error === signal.reason) return error;
  if (error instanceof CatalogStoreError || error instanceof CatalogFencedError) return error;
  if (propertyOf(error, 'code') === 'CATALOG_DOCUMENT_INVALID') return error;
  const details = outcome === undefined ? { cause: error } : { cause: error, outcome };
  return new CatalogStoreError(store, reasonOf(error), seen, details);
}
