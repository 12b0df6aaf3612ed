import { InvalidOptionError, integer, parseOptions, string } from '@holdfast/foundation';
import { MissingPeerError } from '../errors.ts';
import type { Timetable } from './schedule.ts';

const OWNER = 'schedule';
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
/** Two ticks that are closer are taken for a mistake. */
const FREQUENT_MS = 2_000;
const MAX_PATTERN_LENGTH = 200;

/** Computes ticks. All times in milliseconds since the Unix epoch. */
export interface Ticks {
  readonly timetable: Timetable;
  /** The first tick after this time; `undefined` when there is none any more. */
  after(timeMs: number): number | undefined;
  /** The latest ticks up to this time, in their order, at most `max` of them. */
  until(timeMs: number, max: number): number[];
}

/** The ticks of a timetable. @throws InvalidOptionError, MissingPeerError */
export async function ticksOf(given: unknown, nowMs: number): Promise<Ticks> {
  if (typeof given !== 'object' || given === null) {
    const permitted = '{ cron, timeZone } or { everyMs }';
    throw new InvalidOptionError(OWNER, 'timetable', given, permitted);
  }
  if ('everyMs' in given) return everyTicks(given);
  return cronTicks(given, nowMs);
}

function everyTicks(given: object): Ticks {
  const shape = { everyMs: integer({ min: 100, max: YEAR_MS }) };
  const { everyMs } = parseOptions(OWNER, shape, given, 'timetable');
  return {
    timetable: { everyMs },
    after: (timeMs) => (Math.floor(timeMs / everyMs) + 1) * everyMs,
    until(timeMs, max) {
      const last = Math.floor(timeMs / everyMs);
      return Array.from({ length: max }, (_, index) => (last - max + 1 + index) * everyMs);
    },
  };
}

async function cronTicks(given: object, nowMs: number): Promise<Ticks> {
  const shape = {
    cron: string({ maxLength: MAX_PATTERN_LENGTH }),
    timeZone: string({ maxLength: MAX_PATTERN_LENGTH, default: 'UTC' }),
  };
  const { cron, timeZone } = parseOptions(OWNER, shape, given, 'timetable');
  checkTimeZone(timeZone);
  const { Cron } = await loadCroner();
  const compiled = attempt(() => new Cron(cron, { timezone: timeZone, paused: true }));
  const field = 'timetable.cron';
  if (compiled === undefined) {
    throw new InvalidOptionError(OWNER, field, cron, 'a cron pattern of five to seven fields');
  }
  const ticks: Ticks = {
    timetable: { cron, timeZone },
    after: (timeMs) => compiled.nextRun(new Date(timeMs))?.getTime(),
    until(timeMs, max) {
      // The search begins behind its reference.
      const found = compiled.previousRuns(max, new Date(timeMs + 1));
      return found
        .map((date) => date.getTime())
        .filter((tickMs) => tickMs <= timeMs)
        .toSorted((one, other) => one - other);
    },
  };
  const first = ticks.after(nowMs);
  if (first === undefined) {
    throw new InvalidOptionError(OWNER, field, cron, 'a cron pattern that ticks some time');
  }
  const second = ticks.after(first);
  if (second !== undefined && second - first < FREQUENT_MS) {
    process.emitWarning(
      `schedule: ${JSON.stringify(cron)} ticks every ${second - first} ms; a pattern of six fields begins with the seconds`,
      { code: 'QUEUE_SCHEDULE_FREQUENT' },
    );
  }
  return ticks;
}

function checkTimeZone(timeZone: string): void {
  if (attempt(() => new Intl.DateTimeFormat('en', { timeZone })) !== undefined) return;
  const permitted = 'an IANA time zone, such as Europe/Berlin';
  throw new InvalidOptionError(OWNER, 'timetable.timeZone', timeZone, permitted);
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Loaded on first use: only those who schedule by patterns need it. */
async function loadCroner(): Promise<typeof import('croner')> {
  try {
    return await import('croner');
  } catch (error) {
    throw new MissingPeerError('schedule by a cron pattern', 'croner', error);
  }
}
