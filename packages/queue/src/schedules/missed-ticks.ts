import { LATE_MS } from './schedule-store.ts';
import type { Ticks } from './timetable.ts';

/** The most missed ticks that are looked at, the latest: a pattern of seconds has many in a year. */
const MAX_COUNTED = 1_000;

/** What is to be done about the ticks that are due. */
export interface DueTicks {
  /** The ticks to enqueue, in their order. */
  readonly issue: readonly number[];
  /** How many ticks were missed, whether or not they are issued; at most 1 000 are counted. */
  readonly missed: number;
}

/** Which ticks count as missed, and what becomes of them. */
export interface MissedPolicy {
  readonly missed: 'skip' | 'once' | 'all';
  readonly maxMissed: number;
}

/**
 * Decides about the ticks after `lastMs` and up to `nowMs`. Any process decides the same of the same times; where
 * theirs differ, so do only the ticks they choose, never the ids of the same tick.
 */
export function dueTicks(
  ticks: Ticks,
  { lastMs, nowMs }: { readonly lastMs: number; readonly nowMs: number },
  policy: MissedPolicy,
): DueTicks {
  const inTimeMs = Math.max(lastMs, nowMs - LATE_MS);
  const late = missedTicks(ticks, { lastMs, nowMs: inTimeMs }, policy);
  const inTime = ticksBetween(ticks, inTimeMs, nowMs);
  return { issue: [...late.issue, ...inTime], missed: late.missed };
}

/** The same for ticks that are all missed. */
export function missedTicks(
  ticks: Ticks,
  { lastMs, nowMs }: { readonly lastMs: number; readonly nowMs: number },
  { missed, maxMissed }: MissedPolicy,
): DueTicks {
  const late = ticksBetween(ticks, lastMs, nowMs);
  const most = { skip: 0, once: 1, all: maxMissed }[missed];
  return { issue: most === 0 ? [] : late.slice(-most), missed: late.length };
}

/** The ticks after `fromMs` and up to `toMs`, the latest where there are too many. */
function ticksBetween(ticks: Ticks, fromMs: number, toMs: number): number[] {
  const found: number[] = [];
  for (
    let next = ticks.after(fromMs);
    next !== undefined && next <= toMs;
    next = ticks.after(next)
  ) {
    if (found.length === MAX_COUNTED) return ticks.until(toMs, MAX_COUNTED);
    found.push(next);
  }
  return found;
}
