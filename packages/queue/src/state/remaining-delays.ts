import type { Clock } from '@holdfast/foundation';
import type { PublishedJob } from '../backend.ts';

/** Clocks that are slewed, and rounded readings, differ by less; a step differs by more. */
const TOLERANCE_MS = 20;
/** The most steps of the wall clock that are remembered; jobs before them go by the wall clock. */
const MAX_STEPS = 100;

/** From a monotonic time on, the wall clock was ahead of the monotonic one by so much. */
interface WallClockOffset {
  readonly sinceMs: number;
  readonly offsetMs: number;
}

/**
 * Tells how much of a job's delay is left. The times of a job are those of the wall clock, for the journal and for
 * people; a step of it neither lengthens nor shortens the delay of a job of this process, because what the clock
 * showed is remembered. A job of an earlier process goes by the wall clock, and never waits longer than its delay.
 */
export class RemainingDelays {
  readonly #clock: Clock;
  readonly #offsets: WallClockOffset[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The times of a job enqueued now; `dueAtMs` is 0 for no delay. */
  timesOf(delayMs: number): Pick<PublishedJob, 'enqueuedAtMs' | 'dueAtMs'> {
    const enqueuedAtMs = Math.round(this.#clock.epochMs());
    if (delayMs === 0) return { enqueuedAtMs, dueAtMs: 0 };
    const nowMs = this.#clock.now();
    const offsetMs = enqueuedAtMs - nowMs;
    const last = this.#offsets.at(-1);
    if (last === undefined || Math.abs(offsetMs - last.offsetMs) > TOLERANCE_MS) {
      this.#offsets.push({ sinceMs: nowMs, offsetMs });
      if (this.#offsets.length > MAX_STEPS) this.#offsets.shift();
    }
    return { enqueuedAtMs, dueAtMs: enqueuedAtMs + delayMs };
  }

  /** What is left of the delay, in milliseconds: negative once the job is due, so that jobs keep their order. */
  leftOf({ enqueuedAtMs, dueAtMs }: PublishedJob): number {
    const nowMs = this.#clock.now();
    const offsetMs = this.#offsetAt(enqueuedAtMs, nowMs) ?? this.#clock.epochMs() - nowMs;
    return Math.min(dueAtMs - offsetMs - nowMs, dueAtMs - enqueuedAtMs);
  }

  /** The offset that was known when a job of this process was enqueued. */
  #offsetAt(enqueuedAtMs: number, nowMs: number): number | undefined {
    return this.#offsets.findLast(({ sinceMs, offsetMs }, index) => {
      const atMs = enqueuedAtMs - offsetMs;
      const untilMs = this.#offsets[index + 1]?.sinceMs ?? nowMs;
      return atMs >= sinceMs - TOLERANCE_MS && atMs <= untilMs + TOLERANCE_MS;
    })?.offsetMs;
  }
}
