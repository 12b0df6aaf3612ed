import { type Backoff, exponentialBackoff } from '@holdfast/foundation';

/** The delays between attempts while the store rejects requests or has just become unreachable. */
export const refusalBackoff: Backoff = exponentialBackoff({
  initialDelayMs: 25,
  maxDelayMs: 500,
  jitterFactor: 0.25,
});
