import type { Delivery } from '../backend.ts';

/** Jobs are taken ahead for so long: about the time in which the next ones come. */
const AHEAD_MS = 10;

/**
 * Jobs that were taken before there is a slot for them, so that slots need not stand empty while the next
 * ones are asked for. Only as many as were begun lately in that time, and never more than there are slots: where
 * handlers take their time, every job is left to whoever has a slot first.
 */
export class Prefetch {
  readonly #maxJobs: number;
  #waiting: Delivery[] = [];
  #begun = 0;
  #allowed = 0;
  #measuredAtMs: number;

  constructor(maxJobs: number, nowMs: number) {
    this.#maxJobs = maxJobs;
    this.#measuredAtMs = nowMs;
  }

  /** How many more may be taken; none before half of them are gone, so that they come in worthwhile numbers. */
  get room(): number {
    const { length } = this.#waiting;
    return length * 2 > this.#allowed ? 0 : this.#allowed - length;
  }

  /** A slot was filled, from here or at once. */
  recordStart(): void {
    this.#begun += 1;
  }

  /** Others were asked for: how many may be ahead is judged by how many were begun since the last time. */
  measure(nowMs: number): void {
    const tookMs = nowMs - this.#measuredAtMs;
    const pace = tookMs > 0 ? this.#begun / tookMs : 0;
    this.#allowed = Math.min(this.#maxJobs, Math.floor(pace * AHEAD_MS));
    this.#begun = 0;
    this.#measuredAtMs = nowMs;
  }

  add(delivery: Delivery): void {
    this.#waiting.push(delivery);
  }

  /** The oldest, which is not ahead any more. */
  next(): Delivery | undefined {
    return this.#waiting.shift();
  }

  handles(): string[] {
    return this.#waiting.map(({ handle }) => handle);
  }

  /** They are other consumers' now. */
  forget(handles: readonly string[]): void {
    this.#waiting = this.#waiting.filter(({ handle }) => !handles.includes(handle));
  }

  clear(): void {
    this.#waiting = [];
  }
}
