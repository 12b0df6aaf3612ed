import { HoldfastError } from '@holdfast/foundation';

/** The rate is used up; after `retryAfterMs` the same call would pass. */
export class RateLimitedError extends HoldfastError {
  readonly code = 'RATE_LIMIT_EXCEEDED';
  declare readonly retryAfterMs: number;

  constructor(limiter: string, seen: string, retryAfterMs: number) {
    super(`rate limiter ${limiter}: ${seen}; worth another try in ${retryAfterMs} ms`, {
      retryable: true,
      outcome: 'not-applied',
      retryAfterMs,
    });
  }
}

/** The limiter was closed before or while the call waited. */
export class RateLimiterClosedError extends HoldfastError {
  readonly code = 'RESILIENCE_RATE_LIMITER_CLOSED';

  constructor(limiter: string) {
    super(`rate limiter ${limiter} is closed; the call was not started`, {
      outcome: 'not-applied',
    });
  }
}
