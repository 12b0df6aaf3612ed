import {
  type Clock,
  InvalidOptionError,
  type Timer,
  callSafely,
  callback,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { Cron } from 'croner';
import type { DrillReport, RestoreDrill } from './restore-drill.ts';

/** Options of {@link scheduleDrills}. All times in milliseconds. */
export interface DrillScheduleOptions {
  /** The drill. */
  drill: RestoreDrill;
  /** When it runs, as a pattern of cron, such as `0 4 * * *`. */
  schedule: string;
  /** The time zone of the pattern, such as `Europe/Berlin`. Default `UTC`. */
  timeZone?: string;
  /** How long after the last success `isOverdue` turns true: a drill that no longer runs is no good news. Default two days. */
  overdueAfterMs?: number;
  /** Given each report, such as to publish RPO and RTO. Default: nobody. */
  onReport?: (report: DrillReport) => unknown;
  /** Given each failure: the restore would have failed so, too. Default: nobody. */
  onFailure?: (error: unknown) => unknown;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The drills as they stand. */
export interface DrillState {
  /** The report of the last drill that succeeded. */
  readonly lastReport: DrillReport | undefined;
  /** The failure of the last drill; `undefined` if it succeeded. */
  readonly lastFailure: unknown;
  /** Of the wall clock. */
  readonly nextAtMs: number;
  /** Whether the last success is longer ago than `overdueAfterMs`. */
  readonly isOverdue: boolean;
}

/** Drills that run by a schedule, one at a time. */
export interface DrillSchedule {
  /** For a health check: overdue is not healthy. */
  state(): DrillState;
  /** Ends the schedule, and aborts a drill that runs. */
  close(): void;
}

const YEAR_MS = 31_536_000_000;
const MAX_PATTERN = 200;
const schema = {
  drill: objectWith<RestoreDrill>(['run']),
  schedule: string({ maxLength: MAX_PATTERN }),
  timeZone: string({ maxLength: MAX_PATTERN, default: 'UTC' }),
  overdueAfterMs: integer({ min: 1, max: YEAR_MS, default: 172_800_000 }),
  onReport: optional(callback<(report: DrillReport) => unknown>()),
  onFailure: optional(callback<(error: unknown) => unknown>()),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Runs drills by a schedule, and says when there were none.
 *
 * @throws InvalidOptionError, also for a schedule that never comes.
 */
export function scheduleDrills(options: DrillScheduleOptions): DrillSchedule {
  const { drill, schedule, timeZone, overdueAfterMs, onReport, onFailure, clock } = parseOptions(
    'scheduleDrills',
    schema,
    options,
  );
  const next = nextOf(schedule, timeZone);
  const ending = new AbortController();
  let lastSuccessMs = clock.now();
  let lastReport: DrillReport | undefined;
  let lastFailure: unknown;
  let nextAtMs = next(clock.epochMs());
  let timer: Timer;

  const run = async (): Promise<void> => {
    try {
      lastReport = await drill.run({ signal: ending.signal });
      lastSuccessMs = clock.now();
      lastFailure = undefined;
      if (onReport !== undefined) callSafely('onReport of scheduleDrills', onReport, lastReport);
    } catch (error) {
      if (ending.signal.aborted) return;
      lastFailure = error;
      if (onFailure !== undefined) callSafely('onFailure of scheduleDrills', onFailure, error);
    }
    if (!ending.signal.aborted) arm();
  };
  // After a drill, not beside it: one that takes too long is not run twice at once.
  const arm = (): void => {
    nextAtMs = next(clock.epochMs());
    timer = clock.schedule(nextAtMs - clock.epochMs(), () => void run(), { holdsProcess: false });
  };
  arm();
  return {
    state: () => ({
      lastReport,
      lastFailure,
      nextAtMs,
      isOverdue: clock.now() - lastSuccessMs > overdueAfterMs,
    }),
    close() {
      ending.abort();
      timer.cancel();
    },
  };
}

/** @throws InvalidOptionError for a pattern that is none, or that never comes. */
function nextOf(schedule: string, timezone: string): (epochMs: number) => number {
  const refuse = (): never => {
    const permitted = 'a pattern of cron that comes again, such as 0 4 * * *';
    throw new InvalidOptionError('scheduleDrills', 'schedule', schedule, permitted);
  };
  let cron: Cron;
  try {
    cron = new Cron(schedule, { timezone, paused: true });
  } catch {
    return refuse();
  }
  const next = (epochMs: number): number | undefined => cron.nextRun(new Date(epochMs))?.getTime();
  if (next(Date.UTC(2026, 0)) === undefined) refuse();
  return (epochMs) => next(epochMs) ?? epochMs + YEAR_MS;
}
