import type { Clock } from '@holdfast/foundation';

const AGAIN_MS = 60_000;
const MAX_LEFT = 100;

/** The probes that could not be removed, or may still arrive: they are removed once writes succeed again. */
export class LeftProbes {
  readonly #clock: Clock;
  readonly #keys = new Set<string>();
  #nextMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: string): void {
    if (this.#keys.size < MAX_LEFT) this.#keys.add(key);
  }

  /** A write succeeded. @param remove resolves with whether the object is gone, or may not be removed. */
  async sweep(remove: (key: string) => Promise<boolean>): Promise<void> {
    if (this.#keys.size === 0 || this.#clock.now() < this.#nextMs) return;
    this.#nextMs = this.#clock.now() + AGAIN_MS;
    for (const key of this.#keys) {
      if (!(await remove(key))) return;
      this.#keys.delete(key);
    }
  }
}
