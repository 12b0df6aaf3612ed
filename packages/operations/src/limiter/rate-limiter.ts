/**
 * How many requests of a key all instances admit together, and what that holds through:
 *
 * - In any `windowMs` at most `limit + burst`, also while the store dies, freezes, loses its data and returns: whoever
 *   cannot ask it admits its share, `limit / instances`, and nothing is admitted twice at the changes between both.
 * - An instance that alone cannot reach the store adds its share at most.
 * - No caller waits for the store for longer than `timeoutMs`, and none at all once it is known to be away.
 * - A refusal is never an error, and a store that is away never looks like a refusal.
 */
import type { EventKinds, Subscribe } from '@holdfast/foundation';

/** What the request is counted by. */
export type CountedBy = 'store' | 'share';

/** What became of a request. */
export type RateLimitOutcome =
  | {
      readonly kind: 'allowed';
      readonly by: CountedBy;
      /** Requests that would be allowed at once after this one; of this instance, if by its share. */
      readonly remaining: number;
    }
  | { readonly kind: 'limited'; readonly by: CountedBy; readonly retryAfterMs: number }
  /** Only with `whenStoreDown: 'refuse'`: nothing is known of the key. */
  | { readonly kind: 'store-down'; readonly retryAfterMs: number };

/** Options of one request. */
export interface ConsumeOptions {
  /** How many requests it counts as, at most `burst` and `peak.limit`. Default 1. */
  cost?: number;
}

/** The events of a rate limiter, by name. */
export interface DistributedRateLimiterEvents {
  /** The store does not answer; shares hold from now on. */
  'store-lost': { readonly error: unknown };
  /** The store answers again. */
  'store-joined': object;
}

export const rateLimiterEventKinds: EventKinds<DistributedRateLimiterEvents> = {
  'store-lost': true,
  'store-joined': true,
};

/** Numbers of a rate limiter since it was made. */
export interface DistributedRateLimiterStats {
  readonly isStoreUp: boolean;
  readonly allowed: number;
  readonly limited: number;
  /** Of the allowed: by the share of this instance. */
  readonly allowedByShare: number;
  readonly storeDown: number;
  /** Calls of the store that were given up at their deadline. */
  readonly timeouts: number;
  /** The share of `limit` that holds under the present load. */
  readonly loadFactor: number;
}

/** A rate limit that all instances share. */
export interface DistributedRateLimiter {
  readonly on: Subscribe<DistributedRateLimiterEvents>;
  /** Counts a request of the key. Never rejects but for its arguments. @throws InvalidOptionError */
  consume(key: string, options?: ConsumeOptions): Promise<RateLimitOutcome>;
  getStats(): DistributedRateLimiterStats;
  /** Shares hold from now on; the store is the caller's to close. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The two limits of a request, as a store is asked for them; all times in milliseconds. */
export interface RateRequest {
  readonly key: string;
  readonly cost: number;
  readonly sustained: Rate;
  readonly peak: Rate;
  /** For how long a store that does not know its past admits nothing, so that shares that still hold count once. */
  readonly settleMs: number;
}

/** One request takes `intervalMs`; a key may be `toleranceMs` ahead of the time. */
export interface Rate {
  readonly intervalMs: number;
  readonly toleranceMs: number;
}

/** What a store answers. `settling`: shares hold for `waitMs` more. */
export type RateReply =
  | { readonly kind: 'allowed'; readonly remaining: number }
  | { readonly kind: 'limited'; readonly retryAfterMs: number }
  | { readonly kind: 'settling'; readonly waitMs: number };

/** The reply of what counts. */
export type CountedReply = Exclude<RateReply, { readonly kind: 'settling' }>;

/** Where instances count together. Each call rejects as soon as it is known to fail. */
export interface RateStore {
  take(request: RateRequest): Promise<RateReply>;
  /**
   * Called by an instance that could not reach the store before: the store admits nothing for `settleMs`, and then begins
   * with no burst.
   */
  join(settleMs: number): Promise<void>;
}
