/** Hedges saved up for a burst. */
const MAX_SAVED = 10;
const SHARE_OF_CALLS = 0.1;
const MIN_SAMPLES = 20;
const MIN_DELAY_MS = 10;

/**
 * When a call is unusually late, by the mean and the deviation of the latencies, and whether it may be sent again: at
 * most one call in ten is.
 * Algorithm of the delay: the retransmission timer of TCP (RFC 6298).
 */
export class HedgeDelay {
  readonly #fixed: number | 'auto' | false;
  #meanMs = 0;
  #deviationMs = 0;
  #samples = 0;
  #saved = MAX_SAVED;

  constructor(fixed: number | 'auto' | false) {
    this.#fixed = fixed;
  }

  observe(latencyMs: number): void {
    this.#samples += 1;
    this.#saved = Math.min(MAX_SAVED, this.#saved + SHARE_OF_CALLS);
    if (this.#samples === 1) {
      this.#meanMs = latencyMs;
      this.#deviationMs = latencyMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(latencyMs - this.#meanMs) - this.#deviationMs) / 4;
    this.#meanMs += (latencyMs - this.#meanMs) / 8;
  }

  /** `undefined` where no call is late. */
  delayMs(): number | undefined {
    if (this.#fixed === false) return undefined;
    if (this.#fixed !== 'auto') return this.#fixed;
    if (this.#samples < MIN_SAMPLES) return undefined;
    return Math.max(MIN_DELAY_MS, this.#meanMs + 4 * this.#deviationMs);
  }

  take(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
