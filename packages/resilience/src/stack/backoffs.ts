import { type Clock, type Timer, onAbort } from '@holdfast/foundation';

/** The backoffs of a stack's calls, all of which its close ends. */
export class Backoffs {
  readonly #clock: Clock;
  readonly #pending = new Set<() => void>();
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves with `true` after the delay, or with `false` as soon as all were ended.
   * @throws the reason of the signal
   */
  async wait(delayMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.#ended) return false;
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        timer.cancel();
        stopListening();
        this.#pending.delete(end);
      };
      const end = (): void => {
        stop();
        resolve(false);
      };
      const timer: Timer = this.#clock.schedule(delayMs, () => {
        stop();
        resolve(true);
      });
      const stopListening = onAbort(signal, () => {
        stop();
        reject(signal?.reason);
      });
      this.#pending.add(end);
    });
  }

  /** Ends every wait, and each one that begins later. */
  end(): void {
    this.#ended = true;
    for (const end of this.#pending) end();
  }
}
