/** Clock readings have rounding errors; a billionth of a second early is on time. */
const SLACK_MS = 1e-6;

/**
 * A bucket that refills evenly, stored as the one time at which it was or will be empty. Reading changes nothing,
 * so that rounding errors do not add up, and there is no window at whose edge twice the rate passes.
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

  /** The time until it holds `tokens`, in whole milliseconds; 0 if it does now. */
  waitMs(tokens: number, nowMs: number): number {
    const exactMs = this.#emptyAtMs + tokens * this.#msPerToken - nowMs;
    return Math.max(0, Math.ceil(exactMs - SLACK_MS));
  }

  /** Takes the tokens, whether or not it holds them; missing ones become a debt. */
  take(tokens: number, nowMs: number): void {
    const fullSinceMs = nowMs - this.maxTokens * this.#msPerToken;
    this.#emptyAtMs = Math.max(this.#emptyAtMs, fullSinceMs) + tokens * this.#msPerToken;
  }

  available(nowMs: number): number {
    const refilled = (nowMs - this.#emptyAtMs) / this.#msPerToken;
    return Math.min(this.maxTokens, Math.max(0, refilled));
  }
}
