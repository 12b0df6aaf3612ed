import type { Clock, Timer } from '../clock.ts';
import { LinkedList, type ListNode } from '../lists/linked-list.ts';

/** One call's entry in {@link DeadlineQueue}, which owns the links and the due time. */
export interface QueuedDeadline extends ListNode {
  /** Called once, when the time has passed and the deadline was not removed. */
  expire(): void;
  dueMs: number;
}

/**
 * Deadlines with one common timeout, which therefore expire in the order in which they were added: adding and
 * removing are O(1), and one timer serves all of them. The timer is armed when needed and not canceled, because
 * arming and canceling one for each call costs more than the rest of the call. It does not hold the process, and
 * ends at most one timeout after the last call.
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
    if (this.#timer === undefined) this.#timer = this.#arm(this.#timeoutMs);
  }

  /** Does nothing for a deadline that has expired or was removed. */
  remove(deadline: QueuedDeadline): void {
    this.#pending.remove(deadline);
  }

  #arm(delayMs: number): Timer {
    return this.#clock.schedule(delayMs, () => this.#expireDue(), { holdsProcess: false });
  }

  #expireDue(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.now();
    let due = this.#pending.first;
    while (due !== undefined && due.dueMs <= nowMs) {
      this.#pending.remove(due);
      due.expire();
      due = this.#pending.first;
    }
    // `setTimeout` may fire a fraction of a millisecond early: wait for the rest.
    if (due !== undefined && this.#timer === undefined) this.#timer = this.#arm(due.dueMs - nowMs);
  }
}
