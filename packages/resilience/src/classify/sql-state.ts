import { propertyOf } from '@holdfast/foundation';
import type { ErrorKind } from './error-kind.ts';

/** States whose class has another meaning; appendix A of the Postgres manual. */
const kindByState: ReadonlyMap<string, ErrorKind> = new Map([
  // Another transaction came first.
  ['40000', 'conflict'],
  ['40001', 'conflict'],
  ['40P01', 'conflict'],
  ['55006', 'conflict'],
  ['55P03', 'conflict'],
  ['72000', 'conflict'],
  // The outcome is unknown, as after a reset.
  ['40003', 'network_error'],
  ['25006', 'service_unavailable'],
  ['25P03', 'network_timeout'],
  ['25P04', 'network_timeout'],
  ['53300', 'service_unavailable'],
  ['57014', 'network_timeout'],
  ['57P01', 'service_unavailable'],
  ['57P02', 'service_unavailable'],
  ['57P03', 'service_unavailable'],
  ['57P05', 'network_error'],
]);

const kindByClass: ReadonlyMap<string, ErrorKind> = new Map([
  ['08', 'network_error'],
  ['53', 'server_error'],
  ['58', 'server_error'],
  ['F0', 'server_error'],
  ['HV', 'server_error'],
  ['XX', 'server_error'],
]);

/**
 * The kind of a SQL error, by its SQLSTATE: errors of pg and postgres.js (`severity`), of PostgREST (`details` and
 * `hint`), and of mysql2 (`sqlState`). Every class that is not listed says that the statement is at fault.
 */
export function classifySqlError(error: object): ErrorKind | undefined {
  const state = sqlStateOf(error);
  if (state === undefined || state === 'HY000') return undefined;
  return kindByState.get(state) ?? kindByClass.get(state.slice(0, 2)) ?? 'client_error';
}

function sqlStateOf(error: object): string | undefined {
  const isPostgres =
    typeof propertyOf(error, 'severity') === 'string' || ('details' in error && 'hint' in error);
  const state = isPostgres ? propertyOf(error, 'code') : propertyOf(error, 'sqlState');
  return typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined;
}
