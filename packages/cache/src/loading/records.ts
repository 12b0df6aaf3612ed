import type { EncodedValue } from '../memory/holding.ts';
import type { Tagged } from './tags.ts';

interface RecordTimes {
  readonly storedAtMs: number;
  /** Until when the answer is fresh. */
  readonly freshUntilMs: number;
}

/** A value, and what is known of it. */
export interface ValueRecord<T> extends RecordTimes, Tagged {
  readonly kind: 'value';
  readonly held: T | EncodedValue<T>;
  /** How long it took to load. */
  readonly loadMs: number;
  /** The refreshes that failed in a row, the last of them, and when the next may begin. */
  failures: number;
  error: unknown;
  refreshAtMs: number;
}

/** A failure of the source that is remembered. */
interface FailureRecord extends RecordTimes, Tagged {
  readonly kind: 'failure';
  readonly error: unknown;
}

export type CacheRecord<T> = ValueRecord<T> | FailureRecord;

/** What the fields of a record take. */
const RECORD_BYTES = 240;
/** An error with its stack; its causes are not counted. */
const FAILURE_BYTES = 2_048;

export function recordBytes(record: CacheRecord<unknown>, valueBytes: number): number {
  let bytes = RECORD_BYTES + (record.kind === 'failure' ? FAILURE_BYTES : valueBytes);
  for (const tag of record.tags) bytes += 40 + tag.length * 2;
  return bytes;
}

/** How often the backoff doubles, so that it is at most about thirty times the first. */
const MAX_DOUBLINGS = 5;

/** Remembers that a refresh failed; the value stays. */
export function refreshFailed(
  record: ValueRecord<unknown>,
  error: unknown,
  nowMs: number,
  backoffMs: number,
): void {
  record.error = error;
  record.refreshAtMs = nowMs + backoffMs * 2 ** Math.min(record.failures, MAX_DOUBLINGS);
  record.failures += 1;
}

/**
 * Whether to refresh a fresh record early: never long before its end, surely at it, and sooner the longer loading takes.
 * Algorithm: XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention", VLDB 2015).
 */
export function isDueEarly(
  { freshUntilMs, loadMs }: ValueRecord<unknown>,
  nowMs: number,
  eagerness: number,
  drawn: number,
): boolean {
  // 1 - drawn is never 0.
  return eagerness > 0 && nowMs - loadMs * eagerness * Math.log(1 - drawn) >= freshUntilMs;
}
