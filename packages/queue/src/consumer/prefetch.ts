import type { Delivery } from '../backend.ts';

/** The time that prefetched jobs should last: about the time in which the next ones arrive. */
const PREFETCH_MS = 10;

/**
 * Jobs that were fetched before a slot is free, so that slots do not idle while the next jobs are fetched. Holds at
 * most as many as were started lately in that time, and never more than there are slots: where handlers are slow,
 * every job is left to the consumer that has a free slot first.
 */
export class Prefetch {
  readonly #maxJobs: number;
  #waiting: Delivery[] = [];
  #started = 0;
  #allowed = 0;
  #measuredAtMs: number;

  constructor(maxJobs: number, nowMs: number) {
    this.#maxJobs = maxJobs;
    this.#measuredAtMs = nowMs;
  }

  /** The number of jobs to prefetch; 0 until half of the prefetched jobs are used, so that fetches are large. */
  get room(): number {
    const { length } = this.#waiting;
    return length * 2 > this.#allowed ? 0 : this.#allowed - length;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** A job was started, prefetched or not. */
  recordStart(): void {
    this.#started += 1;
  }

  /** Call at each fetch: the limit follows from the number of jobs started since the last one. */
  measure(nowMs: number): void {
    const tookMs = nowMs - this.#measuredAtMs;
    const pace = tookMs > 0 ? this.#started / tookMs : 0;
    this.#allowed = Math.min(this.#maxJobs, Math.floor(pace * PREFETCH_MS));
    this.#started = 0;
    this.#measuredAtMs = nowMs;
  }

  add(delivery: Delivery): void {
    this.#waiting.push(delivery);
  }

  /** Removes the oldest job. */
  next(): Delivery | undefined {
    return this.#waiting.shift();
  }

  handles(): string[] {
    return this.#waiting.map(({ handle }) => handle);
  }

  /** Removes one job. */
  take(handle: string): Delivery | undefined {
    const found = this.#waiting.find((job) => job.handle === handle);
    this.drop([handle]);
    return found;
  }

  /** Removes jobs whose leases went to other consumers. */
  drop(handles: readonly string[]): void {
    this.#waiting = this.#waiting.filter(({ handle }) => !handles.includes(handle));
  }

  /** Removes all jobs; returns them with the deliveries before this one, which none of them has used. */
  takeAll(): Delivery[] {
    const all = this.#waiting.map((job) => ({ ...job, deliveries: job.deliveries - 1 }));
    this.#waiting = [];
    return all;
  }
}
