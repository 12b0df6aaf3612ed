import { InvalidOptionError } from '@holdfast/foundation';
import type { Statement, Token } from './database.ts';

/** A position that no replica has ever reached: a read after it goes to the primary. */
export const UNKNOWN_LSN: Token = { timeline: 0, lsn: 'FFFFFFFF/FFFFFFFF' };

const CURRENT_LSN_SQL =
  'select pg_current_wal_insert_lsn()::text as lsn, ' +
  'left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline';

/** The end of a primary's log, and its timeline in the format of WAL file names. */
export const CURRENT_LSN: Statement = { text: CURRENT_LSN_SQL };

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** @returns `undefined` for anything but the text of an LSN. */
export function parseLsn(lsn: unknown): bigint | undefined {
  const parts = typeof lsn === 'string' ? LSN.exec(lsn) : null;
  if (parts === null) return undefined;
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`);
}

/** The position in a row of {@link CURRENT_LSN}. */
export function tokenFrom(row: unknown): Token {
  if (typeof row !== 'object' || row === null) return UNKNOWN_LSN;
  const lsn = 'lsn' in row ? row.lsn : undefined;
  const timeline = 'timeline' in row ? parseTimeline(row.timeline) : undefined;
  if (typeof lsn !== 'string' || parseLsn(lsn) === undefined || timeline === undefined) {
    return UNKNOWN_LSN;
  }
  return { timeline, lsn };
}

/** Eight hexadecimal digits. */
export function parseTimeline(text: unknown): number | undefined {
  return typeof text === 'string' && /^[0-9A-F]{8}$/i.test(text)
    ? Number.parseInt(text, 16)
    : undefined;
}

/** @throws InvalidOptionError */
export function parseToken(owner: string, field: string, token: unknown): Token {
  if (typeof token === 'object' && token !== null && 'timeline' in token && 'lsn' in token) {
    const { timeline, lsn } = token;
    const isTimeline =
      typeof timeline === 'number' && Number.isSafeInteger(timeline) && timeline >= 0;
    if (isTimeline && typeof lsn === 'string' && parseLsn(lsn) !== undefined)
      return { timeline, lsn };
  }
  throw new InvalidOptionError(owner, field, token, 'a token as a transaction returns it');
}

/** The later of two positions; one on a later timeline is later whatever its LSN. */
export function laterOf(one: Token | undefined, other: Token): Token {
  if (one === undefined || one.lsn === UNKNOWN_LSN.lsn) return other;
  if (other.lsn === UNKNOWN_LSN.lsn) return other;
  if (one.timeline !== other.timeline) return one.timeline > other.timeline ? one : other;
  return (parseLsn(one.lsn) ?? 0n) >= (parseLsn(other.lsn) ?? 0n) ? one : other;
}
