import type { StoreFailure } from './errors.ts';

/** SQLSTATEs, or their classes, by what they mean for a store. The longer one decides. */
const REASONS: Readonly<Record<string, StoreFailure>> = {
  '08': 'unreachable',
  '23503': 'missing',
  '25P03': 'timeout',
  '28': 'unreachable',
  '3D': 'unreachable',
  '42501': 'unreachable',
  '42P01': 'missing',
  '53': 'full',
  '53300': 'unreachable',
  '55P03': 'timeout',
  '57': 'unreachable',
  '57014': 'timeout',
  XX001: 'damaged',
  XX002: 'damaged',
};

/** @param sqlState five characters; `undefined` where the server has said nothing. */
export function reasonOfSqlState(sqlState: string | undefined): StoreFailure | undefined {
  if (sqlState === undefined) return undefined;
  return REASONS[sqlState] ?? REASONS[sqlState.slice(0, 2)];
}
