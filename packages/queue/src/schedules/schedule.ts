import type { Priority } from '../producer/scheduling.ts';

/** When a schedule ticks: by a cron pattern, or at a fixed interval. */
export type Timetable =
  | {
      /**
       * Five to seven fields, or a nickname such as `@daily`. Needs the package `croner`. A local time that a change of
       * daylight saving skips ticks at the end of the gap; one that occurs twice ticks once, the first time. Patterns
       * that repeat within the hour tick through both.
       */
      readonly cron: string;
      /** An IANA time zone, such as `Europe/Berlin`. Default `UTC`: not that of the machine. */
      readonly timeZone?: string;
    }
  | {
      /** At every multiple of this since the Unix epoch, in milliseconds: the same ticks for all processes. */
      readonly everyMs: number;
    };

/** Options of `schedule`. */
export interface ScheduleOptions {
  /**
   * What becomes of ticks that no process could issue in time, because none ran, or neither Redis nor the fallback
   * accepted them. `'skip'`: nothing. `'once'`: one job, for the latest of them. `'all'`: a job for each of the latest
   * `maxMissed`. A tick is missed once it is 10 seconds late. `ticks-missed` reports them. Default `'once'`.
   */
  readonly missed?: 'skip' | 'once' | 'all';
  /** With `'all'`: the most jobs for missed ticks, 1 to 1 000. Default 100. */
  readonly maxMissed?: number;
  /** As in `enqueue`. */
  readonly key?: string;
  /** As in `enqueue`. */
  readonly priority?: Priority;
  /** As in `enqueue`, from the time of the tick's `enqueue`. */
  readonly expiresInMs?: number;
}

/** A schedule of this queue. */
export interface ScheduleInfo {
  readonly name: string;
  readonly topic: string;
  readonly timetable: Timetable;
  /** The next tick, in milliseconds since the Unix epoch; absent when there is none any more. */
  readonly nextTickMs?: number;
  /** The last tick that is settled: by any process, as far as this one knows. Absent before the first. */
  readonly lastTickMs?: number;
  /** Whether Redis has told this process of the schedule: until then it goes by its own clock. */
  readonly isSynchronized: boolean;
}

/** What became of an `unschedule`. */
export interface Unscheduled {
  /**
   * `everywhere`: Redis has it, and other processes stop before their next tick. `here`: this process has stopped; it
   * tells Redis as soon as that is back, while it lives. `unknown`: this queue has no schedule of that name.
   */
  readonly stopped: 'everywhere' | 'here' | 'unknown';
}

/** The part of a queue that enqueues jobs by the clock. */
export interface Scheduling {
  /**
   * Enqueues a job at each tick. Any number of processes may declare the same schedule: each tick becomes one job, whose
   * id is made of the name and the tick. All go by the time of Redis; while it is away, by what they know of it, and
   * the jobs are accepted by the fallback as any others. A schedule of the same name in this queue is replaced.
   * Resolves once it runs, whether or not Redis is there.
   * @param name 1 to 150 characters, no control characters, no braces.
   * @throws InvalidOptionError for a pattern that is invalid or never ticks, an unknown time zone, a bad name, topic,
   *   payload or option; MissingPeerError when `croner` is not installed; OperationUnsupportedError when the store keeps no
   *   schedules; QueueFullError beyond 1 000 schedules; QueueClosedError.
   */
  schedule(
    name: string,
    timetable: Timetable,
    topic: string,
    payload: unknown,
    options?: ScheduleOptions,
  ): Promise<void>;
  /** Stops a schedule in all processes, until one declares it again. Jobs that wait stay. @throws QueueClosedError */
  unschedule(name: string): Promise<Unscheduled>;
  /** The schedules of this queue. */
  schedules(): ScheduleInfo[];
}
