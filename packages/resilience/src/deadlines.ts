import type { Clock, Timer } from './clock.ts';

/** One call's wait in a list of deadlines; the list owns the links and the moment. */
export interface Deadline {
  /** Called once, when the time is over and the deadline has not been removed. */
  expire(): void;
  /** `Infinity` while in no list. */
  dueMs: number;
  earlier: Deadline | undefined;
  later: Deadline | undefined;
}

/**
 * Deadlines that all lie the same time ahead, so that they fall due in the order they were added: adding
 * and removing are O(1), and one timer serves them all. The timer is armed when needed and then left to
 * run out, because arming and cancelling one for each call costs more than everything else about a
 * call; it never holds the process, and is gone one timeout after the last call.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #earliest: Deadline | undefined;
  #latest: Deadline | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** @param nowMs the clock's reading, from a caller who has just taken it. */
  add(deadline: Deadline, nowMs: number = this.#clock.now()): void {
    deadline.dueMs = nowMs + this.#timeoutMs;
    deadline.earlier = this.#latest;
    deadline.later = undefined;
    if (this.#latest === undefined) this.#earliest = deadline;
    else this.#latest.later = deadline;
    this.#latest = deadline;
    if (this.#timer === undefined) this.#timer = this.#arm(this.#timeoutMs);
  }

  /** Does nothing for a deadline that has expired or was removed. */
  remove(deadline: Deadline): void {
    if (deadline.dueMs === Infinity) return;
    deadline.dueMs = Infinity;
    if (deadline.earlier === undefined) this.#earliest = deadline.later;
    else deadline.earlier.later = deadline.later;
    if (deadline.later === undefined) this.#latest = deadline.earlier;
    else deadline.later.earlier = deadline.earlier;
    deadline.earlier = undefined;
    deadline.later = undefined;
  }

  #arm(delayMs: number): Timer {
    return this.#clock.schedule(delayMs, () => this.#expireDue(), { holdsProcess: false });
  }

  #expireDue(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.now();
    let due = this.#earliest;
    while (due !== undefined && due.dueMs <= nowMs) {
      this.remove(due);
      due.expire();
      due = this.#earliest;
    }
    // The host's timers may fire a fraction of a millisecond early; the rest is waited out.
    if (due !== undefined && this.#timer === undefined) this.#timer = this.#arm(due.dueMs - nowMs);
  }
}
