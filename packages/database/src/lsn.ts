import { InvalidOptionError } from '@holdfast/foundation';
import type { Statement, Token } from './database.ts';

/** A place no replica has ever reached: who asks for it is sent to the primary. */
export const UNKNOWN_PLACE: Token = { timeline: 0, lsn: 'FFFFFFFF/FFFFFFFF' };

const PLACE =
  'select pg_current_wal_insert_lsn()::text as lsn, ' +
  'left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline';

/** Asks a primary how far its log has come, with its timeline as the names of log files begin. */
export const CURRENT_PLACE: Statement = { text: PLACE };

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** @returns `undefined` for what is not the text of an LSN. */
export function parseLsn(lsn: unknown): bigint | undefined {
  const parts = typeof lsn === 'string' ? LSN.exec(lsn) : null;
  if (parts === null) return undefined;
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`);
}

/** The place in a row with `lsn` and `timeline`, the latter as the names of log files begin. */
export function tokenFrom(row: unknown): Token {
  if (typeof row !== 'object' || row === null) return UNKNOWN_PLACE;
  const lsn = 'lsn' in row ? row.lsn : undefined;
  const timeline = 'timeline' in row ? parseTimeline(row.timeline) : undefined;
  if (typeof lsn !== 'string' || parseLsn(lsn) === undefined || timeline === undefined) {
    return UNKNOWN_PLACE;
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
export function readToken(owner: string, field: string, token: unknown): Token {
  if (typeof token === 'object' && token !== null && 'timeline' in token && 'lsn' in token) {
    const { timeline, lsn } = token;
    const isTimeline =
      typeof timeline === 'number' && Number.isSafeInteger(timeline) && timeline >= 0;
    if (isTimeline && typeof lsn === 'string' && parseLsn(lsn) !== undefined)
      return { timeline, lsn };
  }
  throw new InvalidOptionError(owner, field, token, 'a token as a transaction returns it');
}

/** The later of two places; a later timeline is later whatever its position. */
export function laterOf(one: Token | undefined, other: Token): Token {
  if (one === undefined || one.lsn === UNKNOWN_PLACE.lsn) return other;
  if (other.lsn === UNKNOWN_PLACE.lsn) return other;
  if (one.timeline !== other.timeline) return one.timeline > other.timeline ? one : other;
  return (parseLsn(one.lsn) ?? 0n) >= (parseLsn(other.lsn) ?? 0n) ? one : other;
}
