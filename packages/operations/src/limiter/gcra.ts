/**
 * The generic cell rate algorithm, for two rates at once. A key's state is one time for each rate, up to which its
 * requests have been paid for; a request moves both ahead by its cost, or neither. `redis/script.ts` is the same in Lua.
 *
 *   paid up to ──────────▶│ now        │◀── toleranceMs: further ahead than this is refused
 *
 * In any window, a rate admits at most (window + toleranceMs) / intervalMs.
 */
import type { CountedReply, Rate, RateRequest } from './rate-limiter.ts';

/** What a sum of times may be off by; far below the shortest interval. */
const ROUNDING_MS = 0.001;

/** Up to when the requests of a key have been paid for, by both rates. */
export interface PaidUpTo {
  readonly sustainedMs: number;
  readonly peakMs: number;
}

/** The state after a request and its reply; without a state, the key is as if all was spent at `sinceMs`. */
export function take(
  state: PaidUpTo | undefined,
  request: Pick<RateRequest, 'cost' | 'sustained' | 'peak'>,
  sinceMs: number,
  nowMs: number,
): {
  readonly state: PaidUpTo | undefined;
  readonly reply: CountedReply;
} {
  const { cost, sustained, peak } = request;
  const spentMs = (paidMs: number | undefined, { toleranceMs }: Rate): number =>
    // Never further ahead than can be: the clock may have been set back.
    Math.min(Math.max(paidMs ?? 0, sinceMs + toleranceMs, nowMs), nowMs + toleranceMs);
  const sustainedMs = spentMs(state?.sustainedMs, sustained) + cost * sustained.intervalMs;
  const peakMs = spentMs(state?.peakMs, peak) + cost * peak.intervalMs;
  const waitMs = Math.max(excessMs(sustainedMs, sustained), excessMs(peakMs, peak)) - nowMs;
  if (waitMs > ROUNDING_MS)
    return { state, reply: { kind: 'limited', retryAfterMs: Math.ceil(waitMs) } };
  const left = (paidMs: number, { toleranceMs, intervalMs }: Rate): number =>
    Math.max(0, Math.floor((nowMs + toleranceMs - paidMs) / intervalMs + ROUNDING_MS));
  const remaining = Math.min(left(sustainedMs, sustained), left(peakMs, peak));
  return { state: { sustainedMs, peakMs }, reply: { kind: 'allowed', remaining } };
}

/** When the request may be made. Under load one request may take more than the tolerance, and is allowed alone. */
function excessMs(paidMs: number, { toleranceMs, intervalMs }: Rate): number {
  return paidMs - Math.max(toleranceMs, intervalMs);
}
