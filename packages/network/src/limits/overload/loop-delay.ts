import {
  type Clock,
  type Distribution,
  type Timer,
  createHistogram,
  integer,
  objectWith,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';

/** Options of `createLoopDelayProbe`. */
export interface LoopDelayOptions {
  /** How often the event loop is probed, in milliseconds. Default 20. */
  intervalMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** How late the event loop was since the reading before. */
export interface LoopDelayReading {
  readonly maxMs: number;
  readonly meanMs: number;
  readonly probes: number;
}

/** Measures how late timers fire. It says how busy the process is, not that calls have to be refused. */
export interface LoopDelayProbe {
  /** What was since the reading before. A block counts once, also one that no timer has seen yet. */
  read(): LoopDelayReading;
  /** All since the start. */
  readonly total: Distribution;
  close(): void;
}

const schema = {
  intervalMs: integer({ min: 1, max: 60_000, default: 20 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** Nothing is ever reset, so that no block is lost between two readings. @throws InvalidOptionError */
export function createLoopDelayProbe(options: LoopDelayOptions = {}): LoopDelayProbe {
  const { intervalMs, clock } = parseOptions('createLoopDelayProbe', schema, options);
  const histogram = createHistogram();
  const since = { maxMs: 0, sumMs: 0, probes: 0 };
  let dueMs = clock.now() + intervalMs;
  /** How much of the delay of the pending probe was read already. */
  let readMs = 0;
  const note = (delayMs: number): void => {
    since.maxMs = Math.max(since.maxMs, delayMs);
    since.sumMs += delayMs;
    since.probes += 1;
  };
  const probe = (): void => {
    const delayMs = Math.max(0, clock.now() - dueMs);
    histogram.record(delayMs);
    note(Math.max(0, delayMs - readMs));
    readMs = 0;
    timer = arm();
  };
  const arm = (): Timer => {
    dueMs = clock.now() + intervalMs;
    return clock.schedule(intervalMs, probe, { holdsProcess: false });
  };
  let timer = arm();
  return {
    read() {
      const pendingMs = clock.now() - dueMs - readMs;
      if (pendingMs > 0) {
        readMs += pendingMs;
        note(pendingMs);
      }
      const { maxMs, sumMs, probes } = since;
      Object.assign(since, { maxMs: 0, sumMs: 0, probes: 0 });
      return { maxMs, meanMs: probes === 0 ? 0 : sumMs / probes, probes };
    },
    get total() {
      return histogram.read();
    },
    close: () => timer.cancel(),
  };
}
