import type { Clock } from '@holdfast/foundation';
import { type RateLimiter, createRateLimiter } from '@holdfast/resilience';

/** A rate limit is granted in this many parts of a second, which keeps bursts small. */
const PARTS_PER_SECOND = 20;

/** Limits how many jobs are started. */
export function createStartLimiter(maxPerSecond: number, clock: Clock): RateLimiter {
  const maxTokens = Math.ceil(maxPerSecond / PARTS_PER_SECOND);
  return createRateLimiter({ maxTokens, refillRate: maxPerSecond, clock });
}
