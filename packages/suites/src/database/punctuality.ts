import { systemClock } from '@holdfast/resilience';

/** Watches calls against their deadlines: how late each one settled, and which have not at all. */
export class Punctuality {
  readonly #open = new Map<number, number>();
  #calls = 0;
  #latestMs = 0;

  /** Settles like the call. @param timeoutMs when it is to have settled at the latest. */
  async watch<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const id = (this.#calls += 1);
    const dueMs = systemClock.now() + timeoutMs;
    this.#open.set(id, dueMs);
    try {
      return await call();
    } finally {
      this.#open.delete(id);
      this.#latestMs = Math.max(this.#latestMs, systemClock.now() - dueMs);
    }
  }

  get calls(): number {
    return this.#calls;
  }

  /** The longest that a call has settled, or is still pending, after its deadline. */
  latestMs(): number {
    const nowMs = systemClock.now();
    return Math.max(this.#latestMs, ...[...this.#open.values()].map((dueMs) => nowMs - dueMs));
  }
}
