import { type Clock } from '@holdfast/foundation';

/** The growth of the bucket widths, for which an estimate is off by 2.5 % at most. */
const GROWTH = 1.05;
const SHORTEST_MS = 0.01;

/** Bucket 0 counts up to 0.01 ms, the last one everything above about 18 hours. */
const BUCKETS = 460;

/** The estimate is renewed after this many samples. */
const REFRESH_AFTER = 32;

/**
 * Estimates a quantile of recent latencies in constant memory: one histogram with logarithmic buckets for the
 * current window and one for the window before.
 */
export class LatencyQuantile {
  readonly #quantile: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #currentCount = 0;
  #previousCount = 0;
  #startedMs: number;
  #estimateMs = 0;
  #sinceEstimate = REFRESH_AFTER;

  /** @param quantile above 0, below 1. */
  constructor(quantile: number, windowMs: number, clock: Clock) {
    this.#quantile = quantile;
    this.#windowMs = windowMs;
    this.#clock = clock;
    this.#startedMs = clock.now();
  }

  /** The number of samples behind the estimate. */
  get count(): number {
    this.#rotate();
    return this.#currentCount + this.#previousCount;
  }

  record(latencyMs: number): void {
    this.#rotate();
    const bucket = bucketOf(latencyMs);
    this.#current[bucket] = (this.#current[bucket] ?? 0) + 1;
    this.#currentCount += 1;
    this.#sinceEstimate += 1;
  }

  /** In milliseconds; `undefined` without a sample. */
  estimateMs(): number | undefined {
    const { count } = this;
    if (count === 0) return undefined;
    if (this.#sinceEstimate >= REFRESH_AFTER || count <= REFRESH_AFTER) {
      this.#estimateMs = this.#walk(count);
      this.#sinceEstimate = 0;
    }
    return this.#estimateMs;
  }

  #walk(count: number): number {
    let remaining = Math.ceil(this.#quantile * count);
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      remaining -= (this.#current[bucket] ?? 0) + (this.#previous[bucket] ?? 0);
      if (remaining <= 0) return middleMs(bucket);
    }
    return middleMs(BUCKETS - 1);
  }

  #rotate(): void {
    const windows = Math.floor((this.#clock.now() - this.#startedMs) / this.#windowMs);
    if (windows < 1) return;
    const recycled = this.#previous.fill(0);
    this.#previous = this.#current;
    this.#previousCount = this.#currentCount;
    this.#current = recycled;
    this.#currentCount = 0;
    if (windows > 1) {
      this.#previous.fill(0);
      this.#previousCount = 0;
    }
    this.#startedMs += windows * this.#windowMs;
    this.#sinceEstimate = REFRESH_AFTER;
  }
}

function bucketOf(latencyMs: number): number {
  if (!(latencyMs > SHORTEST_MS)) return 0;
  const exponent = Math.ceil(Math.log(latencyMs / SHORTEST_MS) / Math.log(GROWTH));
  return Math.min(BUCKETS - 1, exponent);
}

/** The geometric middle of a bucket's bounds. */
function middleMs(bucket: number): number {
  return bucket === 0 ? SHORTEST_MS : SHORTEST_MS * GROWTH ** (bucket - 0.5);
}
