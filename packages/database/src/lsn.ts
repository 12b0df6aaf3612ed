import { InvalidOptionError } from '@holdfast/foundation';
import { errorMessage, sqlStateOf } from './connection/sql-state.ts';
import type { QueryResult, Statement } from './database.ts';
import type { Token } from './connection/token.ts';

/** A position that no replica has ever reached: a read after it goes to the primary, on its timeline or a later one. */
export const UNKNOWN_LSN: Token = { timeline: 0, lsn: 'FFFFFFFF/FFFFFFFF' };

/** Whether only the timeline of the position is known, if that. */
export function isUnknown({ lsn }: Token): boolean {
  return lsn === UNKNOWN_LSN.lsn;
}

const CURRENT_LSN_SQL =
  'select pg_current_wal_insert_lsn()::text as lsn, ' +
  'left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline';

/** The end of a primary's log, and its timeline in the format of WAL file names. */
export const CURRENT_LSN: Statement = { text: CURRENT_LSN_SQL };

const ON_PRIMARY = 'where not pg_is_in_recovery()';

/**
 * The same on a primary only; a standby answers with no row. With the position at which the server's last recovery
 * ended: after a promotion that is where its timeline began, after a restart a later one or none.
 */
const PRIMARY_POSITIONS: readonly Statement[] = [
  `${CURRENT_LSN_SQL}, pg_last_wal_replay_lsn()::text as recovered ${ON_PRIMARY}`,
  `${CURRENT_LSN_SQL} ${ON_PRIMARY}`,
].map((text) => ({ text }));

/**
 * What a standby has replayed; a primary answers with no row. Its timeline is that of its WAL receiver, or, without the
 * privilege to see it, that of its last restart point, which is never too high. The second asks for fewer rights.
 */
const STANDBY_POSITIONS: readonly Statement[] = [
  'coalesce((select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()))',
  '(select received_tli from pg_stat_wal_receiver)',
  '(select timeline_id from pg_control_checkpoint())',
].map((timeline) => ({
  text:
    `select pg_last_wal_replay_lsn()::text as lsn, lpad(to_hex(${timeline}), 8, '0') as timeline ` +
    'where pg_is_in_recovery()',
}));

/** A position of a server's log: the end of a primary's, or what a standby has replayed. */
export interface LogPosition {
  readonly timeline: number;
  readonly position: bigint;
}

/**
 * Whether a server's log is known to include the token. A standby on a later timeline does not tell where that began, so
 * it may lack the end of the token's. @param position the position of the token.
 */
export function hasReplayed(
  replayed: LogPosition | undefined,
  token: Token,
  position: bigint | undefined,
): boolean {
  return (
    replayed !== undefined &&
    position !== undefined &&
    replayed.timeline === token.timeline &&
    replayed.position >= position
  );
}

/** The timeline of a primary, and a position at or behind that at which it began. */
export interface TimelineStart {
  readonly timeline: number;
  readonly began: bigint;
}

const WAL_PAGE_BYTES = 8_192n;
/** Of a page, and of the first page of a segment. */
const WAL_HEADER_BYTES: ReadonlySet<bigint> = new Set([24n, 40n]);

/**
 * Whether the timeline is a later one than the token's and left it before the token's position: what the log held
 * there was lost by the promotion.
 */
export function isLostBy({ timeline, began }: TimelineStart, token: Token): boolean {
  const position = parseLsn(token.lsn);
  if (position === undefined || isUnknown(token)) return false;
  // Behind the header of a page is where the next record goes, but the last one ends before it.
  const offset = position % WAL_PAGE_BYTES;
  const end = WAL_HEADER_BYTES.has(offset) ? position - offset : position;
  return token.timeline > 0 && token.timeline < timeline && began < end;
}

interface FoundPosition {
  readonly token: Token;
  readonly position: bigint;
  /** Where the last recovery of a primary ended. */
  readonly recovered: bigint | undefined;
}

/**
 * Reads the position of the server's log in one session, as far as its rights permit: where a function may not be
 * called, as on some managed servers, it is not asked for again.
 */
export class PositionReader {
  /** Why the position cannot be read, in the server's words. */
  refusal: string | undefined;
  #primaryVariant = 0;
  #standbyVariant = 0;

  /** @param isStandby `undefined`: not known, so both kinds are returned. */
  statements(isStandby?: boolean): Statement[] {
    const primary = PRIMARY_POSITIONS[this.#primaryVariant];
    const standby = STANDBY_POSITIONS[this.#standbyVariant];
    return [
      ...(primary !== undefined && isStandby !== true ? [primary] : []),
      ...(standby !== undefined && isStandby !== false ? [standby] : []),
    ];
  }

  /** @param settled the replies to the statements, in their order. */
  read(
    statements: readonly Statement[],
    settled: readonly PromiseSettledResult<QueryResult>[],
  ): FoundPosition | undefined {
    let found: FoundPosition | undefined;
    for (const [at, reply] of settled.entries()) {
      if (reply.status === 'rejected') this.#refused(statements[at], reply.reason);
      else {
        const [row] = reply.value.rows;
        const token = tokenFrom(row);
        const position = token === UNKNOWN_LSN ? undefined : parseLsn(token.lsn);
        const recovered = parseLsn(row?.['recovered']);
        if (position !== undefined) found = { token, position, recovered };
      }
    }
    if (found !== undefined) this.refusal = undefined;
    return found;
  }

  #refused(statement: Statement | undefined, reason: unknown): void {
    const cause = reason instanceof Error ? reason.cause : undefined;
    const sqlState = sqlStateOf(cause);
    // No such function or view, no right to it, not supported.
    if (sqlState === undefined || !/^(?:42|0A)/.test(sqlState)) return;
    if (statement !== undefined && PRIMARY_POSITIONS.includes(statement)) {
      this.#primaryVariant += 1;
    } else this.#standbyVariant += 1;
    this.refusal = errorMessage(cause);
  }
}

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** @returns `undefined` for anything but the text of an LSN. */
export function parseLsn(lsn: unknown): bigint | undefined {
  const parts = typeof lsn === 'string' ? LSN.exec(lsn) : null;
  if (parts === null) return undefined;
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`);
}

/** The inverse of {@link parseLsn}. */
export function formatLsn(position: bigint): string {
  const part = (bits: bigint): string => bits.toString(16).toUpperCase();
  return `${part(position >> 32n)}/${part(position & 0xffffffffn)}`;
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
function parseTimeline(text: unknown): number | undefined {
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

/**
 * The later of two positions; one on a later timeline is later whatever its LSN. An unknown one is later than any, and
 * a timeline that was seen is never forgotten.
 */
export function laterOf(one: Token | undefined, other: Token): Token {
  if (one === undefined) return other;
  const timeline = Math.max(one.timeline, other.timeline);
  if (isUnknown(one) || isUnknown(other)) return { timeline, lsn: UNKNOWN_LSN.lsn };
  if (one.timeline !== other.timeline) return one.timeline > other.timeline ? one : other;
  return (parseLsn(one.lsn) ?? 0n) >= (parseLsn(other.lsn) ?? 0n) ? one : other;
}
