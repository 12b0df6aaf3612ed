import { HoldfastError } from '@holdfast/foundation';

/** The store of a rate limiter did not answer, or is not connected; the limiter uses its share. */
export class RateStoreError extends HoldfastError {
  readonly code = 'OPERATIONS_RATE_STORE_UNAVAILABLE';

  constructor(reason: string, cause?: unknown) {
    super(`the store of the rate limiter: ${reason}`, {
      retryable: true,
      outcome: 'unknown',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
