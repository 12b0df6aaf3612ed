import type { Clock } from '@holdfast/foundation';
import type { EsimGoSettings } from './options.ts';

/** What a request gets of the limit. */
export interface Allowance {
  readonly isAllowed: boolean;
  /** Of every response. */
  readonly headers: Readonly<Record<string, string>>;
  /** Until the next window, in seconds and at least 1. */
  readonly retryAfterS: number;
}

/** How far the rate limit was used. */
export interface RateLimitStats {
  /** Tokens that requests were allowed. */
  readonly tokens: number;
  /** Requests over the limit. */
  readonly refused: number;
  /** Windows from the first request to the last, both included. */
  readonly windows: number;
}

const MAX_ADDRESSES = 10_000;

/** Counts requests in windows that begin at fixed times, for each address of a client. */
export class FixedWindowLimit {
  readonly #limit: EsimGoSettings['rateLimit'];
  readonly #clock: Clock;
  readonly #startMs: number;
  #used = new Map<string, number>();
  #window = 0;
  #first: number | undefined;
  #tokens = 0;
  #refused = 0;

  constructor(limit: EsimGoSettings['rateLimit'], clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  take(address: string): Allowance {
    if (this.#limit === false) return { isAllowed: true, headers: {}, retryAfterS: 0 };
    const { requests, windowMs, cost } = this.#limit;
    const sinceStartMs = this.#clock.now() - this.#startMs;
    const window = Math.floor(sinceStartMs / windowMs);
    if (window !== this.#window || this.#used.size >= MAX_ADDRESSES) this.#used = new Map();
    this.#window = window;
    this.#first ??= window;
    const used = this.#used.get(address) ?? 0;
    const isAllowed = used + cost <= requests;
    if (isAllowed) {
      this.#used.set(address, used + cost);
      this.#tokens += cost;
    } else this.#refused += 1;
    const leftMs = (window + 1) * windowMs - sinceStartMs;
    return {
      isAllowed,
      headers: {
        'X-Ratelimit-Limit': String(requests),
        'X-Ratelimit-Remaining': String(requests - used - (isAllowed ? cost : 0)),
        'X-Ratelimit-Reset': new Date(this.#clock.epochMs() + leftMs).toISOString(),
        'X-Ratelimit-Cost': String(cost),
      },
      retryAfterS: Math.max(1, Math.ceil(leftMs / 1_000)),
    };
  }

  get stats(): RateLimitStats {
    const windows = this.#first === undefined ? 0 : this.#window - this.#first + 1;
    return { tokens: this.#tokens, refused: this.#refused, windows };
  }
}
