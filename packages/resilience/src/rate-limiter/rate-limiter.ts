import type { Clock, Subscribe, EventKinds } from '@holdfast/foundation';
import type { LateValueOptions } from '../until-aborted.ts';

/** The size of a bucket, and how fast it refills. */
export interface Quota {
  /** The largest burst: what the bucket holds when full. */
  maxTokens: number;
  /** Tokens per second; 1 / 86 400 is one a day. */
  refillRate: number;
}

/** Options of `createRateLimiter`. All times in milliseconds. */
export interface RateLimiterOptions extends Quota {
  /** Appears in errors and events. Default `rate-limiter`. */
  name?: string;
  /**
   * A second, slower quota that must permit the call as well: 10 a second in bursts of 10, but at most 1 000
   * an hour.
   */
  sustained?: Quota;
  /** How long `acquire` waits for tokens, in milliseconds; 0 refuses at once. Default 0. */
  maxWaitMs?: number;
  /** How many calls wait for tokens; further calls are refused. Default 1 000. */
  maxQueueSize?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Options of one wait for tokens. */
export interface TokenOptions {
  /** An abort removes the call from the queue at once; it rejects with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** Replaces the limiter's own. */
  maxWaitMs?: number | undefined;
}

/** What a rate limiter has, holds and has granted, read at any time. */
export interface RateLimiterStats {
  /** Whole tokens that are available now. */
  readonly availableTokens: number;
  readonly queuedCount: number;
  /** Calls granted since the start. */
  readonly grantedCount: number;
  /** Calls refused since the start. */
  readonly rejectedCount: number;
  readonly maxTokens: number;
  readonly refillRate: number;
}

/** The events of a rate limiter, by name. */
export interface RateLimiterEvents {
  rejected: { name: string; tokens: number; retryAfterMs: number };
}

export const rateLimiterEventKinds: EventKinds<RateLimiterEvents> = { rejected: true };

/**
 * Limits how often calls start. Waiting calls are served first come, first served; a new call never takes
 * tokens that an earlier one waits for. The wait of a call is known when it arrives, so that one that would
 * wait too long is refused at once.
 */
export interface RateLimiter {
  readonly name: string;
  /** Takes the tokens if they are available now and no call waits. */
  tryAcquire(tokens?: number): boolean;
  /**
   * Takes the tokens, after waiting for them if necessary.
   * @throws RateLimitedError, RateLimiterClosedError, InvalidOptionError, or the signal's own reason.
   */
  acquire(tokens?: number, options?: TokenOptions): Promise<void>;
  /** Calls `fn` once a token is taken. Rejects like `acquire`, also when the signal aborts while `fn` runs. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: TokenOptions & LateValueOptions<T> & { tokens?: number | undefined },
  ): Promise<T>;
  /** How long a call that arrives now would wait, in milliseconds; 0 if not at all. */
  retryAfterMs(tokens?: number): number;
  getStats(): RateLimiterStats;
  readonly on: Subscribe<RateLimiterEvents>;
  /** Refuses every waiting and every later call with RateLimiterClosedError. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
