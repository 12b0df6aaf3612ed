import type { Clock, Timer } from '@holdfast/foundation';
import type { Delivery } from '../backend.ts';

/**
 * Failed jobs that wait for their next attempt with this consumer, without a slot: those of partitions, which wait
 * with them, and those that the store could not put aside.
 */
export class WaitingJobs {
  readonly #clock: Clock;
  readonly #onDue: (delivery: Delivery) => void;
  readonly #waiting = new Map<string, { readonly delivery: Delivery; readonly timer: Timer }>();

  constructor(clock: Clock, onDue: (delivery: Delivery) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(delivery: Delivery, delayMs: number): void {
    const { handle } = delivery;
    const timer = this.#clock.schedule(Math.max(0, delayMs), () => {
      this.#waiting.delete(handle);
      this.#onDue(delivery);
    });
    this.#waiting.set(handle, { delivery, timer });
  }

  handles(): Iterable<string> {
    return this.#waiting.keys();
  }

  /** Removes a job whose lease went to another consumer. */
  drop(handle: string): Delivery | undefined {
    const waiting = this.#waiting.get(handle);
    waiting?.timer.cancel();
    this.#waiting.delete(handle);
    return waiting?.delivery;
  }

  /** Removes and returns all jobs. */
  takeAll(): Delivery[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { timer } of all) timer.cancel();
    return all.map(({ delivery }) => delivery);
  }
}
