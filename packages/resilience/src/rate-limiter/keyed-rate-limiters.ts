import { integer, InvalidOptionError, parseOptions } from '@holdfast/foundation';
import { createRateLimiter } from './create-rate-limiter.ts';
import type { RateLimiter, RateLimiterOptions } from './rate-limiter.ts';

/** Options of `createKeyedRateLimiters`: those of each limiter, and how many there may be. */
export interface KeyedRateLimitersOptions extends RateLimiterOptions {
  /** The most limiters that are kept. Default 10 000. */
  maxKeys?: number;
}

/** How many limiters a keyed set has, read at any time. */
export interface KeyedRateLimitersStats {
  /** Limiters kept now. */
  readonly keys: number;
  /** Limiters that were evicted; their keys begin again with a full bucket. */
  readonly evictedCount: number;
  /** Calls granted since the start, of all keys. */
  readonly grantedCount: number;
  /** Calls refused since the start, of all keys. */
  readonly rejectedCount: number;
}

/** A rate limiter for each key, such as a client, made at its first call. */
export interface KeyedRateLimiters {
  /**
   * The limiter of a key. When `maxKeys` are kept, the least recently used one is evicted.
   * @throws InvalidOptionError for a key that is no string
   */
  get(key: string): RateLimiter;
  getStats(): KeyedRateLimitersStats;
  /** Closes every limiter: what waits and what comes later is refused with RateLimiterClosedError. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const schema = { maxKeys: integer({ min: 1, max: 10_000_000, default: 10_000 }) };

/**
 * A bounded set of rate limiters with the same options, one for each key.
 * @throws InvalidOptionError
 */
export function createKeyedRateLimiters(options: KeyedRateLimitersOptions): KeyedRateLimiters {
  const { maxKeys: given, ...each } = options;
  const { maxKeys } = parseOptions('createKeyedRateLimiters', schema, { maxKeys: given });
  const spare = createRateLimiter(each);
  return new LimitersByKey(each, maxKeys, spare);
}

class LimitersByKey implements KeyedRateLimiters {
  readonly #options: RateLimiterOptions;
  readonly #maxKeys: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, RateLimiter>();
  #spare: RateLimiter | undefined;
  #isClosed = false;
  #evicted = 0;
  #granted = 0;
  #rejected = 0;

  constructor(options: RateLimiterOptions, maxKeys: number, spare: RateLimiter) {
    this.#options = options;
    this.#maxKeys = maxKeys;
    // Made to check the options; the first key takes it.
    this.#spare = spare;
  }

  get(key: string): RateLimiter {
    if (typeof key !== 'string') {
      throw new InvalidOptionError('rateLimiters.get', 'key', key, 'a string');
    }
    const limiter = this.#kept.get(key) ?? this.#create();
    this.#kept.delete(key);
    this.#kept.set(key, limiter);
    return limiter;
  }

  getStats(): KeyedRateLimitersStats {
    let grantedCount = this.#granted;
    let rejectedCount = this.#rejected;
    for (const limiter of this.#kept.values()) {
      const stats = limiter.getStats();
      grantedCount += stats.grantedCount;
      rejectedCount += stats.rejectedCount;
    }
    return { keys: this.#kept.size, evictedCount: this.#evicted, grantedCount, rejectedCount };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#kept.values()].map((limiter) => limiter.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #create(): RateLimiter {
    if (this.#kept.size >= this.#maxKeys) this.#evict();
    const limiter = this.#spare ?? createRateLimiter(this.#options);
    this.#spare = undefined;
    // Resolves at once: nothing waits for it yet.
    if (this.#isClosed) void limiter.close();
    return limiter;
  }

  #evict(): void {
    for (const [key, limiter] of this.#kept) {
      const { grantedCount, rejectedCount } = limiter.getStats();
      this.#granted += grantedCount;
      this.#rejected += rejectedCount;
      this.#kept.delete(key);
      this.#evicted += 1;
      return;
    }
  }
}
