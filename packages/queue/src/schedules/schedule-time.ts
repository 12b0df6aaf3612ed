import type { Clock } from '@holdfast/foundation';

/**
 * The time of the store, as far as it is known: from its last answer on, by the monotonic clock, so that steps of this
 * machine's wall clock do not matter. Before the first answer it is the wall clock's.
 */
export class ScheduleTime {
  readonly #clock: Clock;
  #offsetMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isKnown(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** In milliseconds since the Unix epoch. */
  get nowMs(): number {
    if (this.#offsetMs === undefined) return this.#clock.epochMs();
    return this.#clock.now() + this.#offsetMs;
  }

  /** The store answered a call that began at `calledMs` of the monotonic clock. */
  answered(serverMs: number, calledMs: number): void {
    const middleMs = (calledMs + this.#clock.now()) / 2;
    this.#offsetMs = serverMs - middleMs;
  }
}
