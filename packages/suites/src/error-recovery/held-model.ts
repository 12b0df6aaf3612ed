import { type Clock, systemClock } from '@holdfast/foundation';

/** Longer than any test: told apart from other delays by its length. */
const HELD_MS = 86_400_000;

/** Holds the answers of an emulated model until a test lets go of them, whatever time that takes. */
export class HeldModel {
  readonly #held = new Set<() => void>();

  /** The clock for the model's delays. */
  readonly clock: Clock = {
    now: () => systemClock.now(),
    epochMs: () => systemClock.epochMs(),
    schedule: (delayMs, callback, options) => {
      if (delayMs !== HELD_MS) return systemClock.schedule(delayMs, callback, options);
      this.#held.add(callback);
      return { cancel: () => void this.#held.delete(callback) };
    },
  };

  /** The delay of an answer that is held. */
  readonly delayMs = HELD_MS;

  /** Gives the answers that are held. */
  release(): void {
    for (const callback of this.#held) callback();
    this.#held.clear();
  }
}
