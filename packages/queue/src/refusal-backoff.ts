import { type Backoff, exponentialBackoff } from '@holdfast/foundation';

/** Delays between attempts at a store that answers but refuses, or has just gone away. */
export const refusalBackoff: Backoff = exponentialBackoff({
  initialDelayMs: 25,
  maxDelayMs: 500,
  jitterFactor: 0.25,
});
