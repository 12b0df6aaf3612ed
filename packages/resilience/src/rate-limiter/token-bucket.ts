/** Clock readings carry rounding errors; a billionth of a second early is on time. */
const SLACK_MS = 1e-6;

/**
 * A bucket that refills evenly, kept as the one moment at which it was or will be empty. Looking changes
 * nothing, so that no rounding error piles up however often it is asked, and there is no window whose
 * edge lets twice the rate through.
 * Algorithm: the generic cell rate algorithm, ITU-T I.371, in its virtual scheduling form.
 */
export class TokenBucket {
  readonly maxTokens: number;
  readonly #msPerToken: number;
  #emptyAtMs: number;

  /** @param refillRate tokens per second. It starts full. */
  constructor(maxTokens: number, refillRate: number, nowMs: number) {
    this.maxTokens = maxTokens;
    this.#msPerToken = 1_000 / refillRate;
    this.#emptyAtMs = nowMs - maxTokens * this.#msPerToken;
  }

  /** How long until it holds `tokens`, in whole milliseconds: 0 when it does now. */
  waitMs(tokens: number, nowMs: number): number {
    const exactMs = this.#emptyAtMs + tokens * this.#msPerToken - nowMs;
    return Math.max(0, Math.ceil(exactMs - SLACK_MS));
  }

  /** Takes them whether or not they are there; what is missing is owed. */
  take(tokens: number, nowMs: number): void {
    const fullSinceMs = nowMs - this.maxTokens * this.#msPerToken;
    this.#emptyAtMs = Math.max(this.#emptyAtMs, fullSinceMs) + tokens * this.#msPerToken;
  }

  available(nowMs: number): number {
    const refilled = (nowMs - this.#emptyAtMs) / this.#msPerToken;
    return Math.min(this.maxTokens, Math.max(0, refilled));
  }
}
