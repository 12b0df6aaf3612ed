import type { Clock, Timer } from '../clock.ts';
import { LinkedList, type ListNode } from '../lists/linked-list.ts';

/** One call's entry in {@link DeadlineQueue}, which owns the links and the due time. */
export interface QueuedDeadline extends ListNode {
  /** Called once, when the time has passed and the deadline was not removed. */
  expire(): void;
  dueMs: number;
}

/** A timer that fires less than this early has counted whole milliseconds; one that fires earlier is faked. */
const EARLY_MS = 1;

/**
 * Deadlines with one common timeout, which therefore expire in the order in which they were added: adding and
 * removing are O(1), and one timer serves all of them. The timer is armed when needed and not canceled, because
 * arming and canceling one for each call costs more than the rest of the call. It does not hold the process, and
 * ends at most one timeout after the last call. Each added deadline makes sure that the timer is still armed.
 */
export class DeadlineQueue {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pending = new LinkedList<QueuedDeadline>();
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** @param nowMs the current reading of the clock, if the caller has just taken it. */
  add(deadline: QueuedDeadline, nowMs: number = this.#clock.now()): void {
    deadline.dueMs = nowMs + this.#timeoutMs;
    this.#pending.append(deadline);
    if (this.#timer === undefined) this.#timer = this.#arm(this.#timeoutMs, deadline.dueMs);
    else this.#timer.rearm?.();
  }

  /** Does nothing for a deadline that has expired or was removed. */
  remove(deadline: QueuedDeadline): void {
    this.#pending.remove(deadline);
  }

  #arm(delayMs: number, dueMs: number): Timer {
    const onDue = (): void => this.#expireDue(dueMs);
    return this.#clock.schedule(delayMs, onDue, { holdsProcess: false });
  }

  /** @param firedMs the time for which the timer was armed. */
  #expireDue(firedMs: number): void {
    this.#timer = undefined;
    const readMs = this.#clock.now();
    const nowMs = firedMs - readMs < EARLY_MS ? readMs : firedMs;
    let due = this.#pending.first;
    while (due !== undefined && due.dueMs <= nowMs) {
      this.#pending.remove(due);
      due.expire();
      due = this.#pending.first;
    }
    if (due !== undefined && this.#timer === undefined) {
      this.#timer = this.#arm(due.dueMs - nowMs, due.dueMs);
    }
  }
}
