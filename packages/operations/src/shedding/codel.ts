/**
 * Controlled delay (Nichols and Jacobson): a queue is too long when even its shortest wait stays above the target for
 * an interval; one that empties now and then is only a burst.
 */

/** What is known of the waits. */
export interface DelayState {
  /** Since when each wait was above the target; undefined if the last was not. */
  readonly aboveSinceMs: number | undefined;
  readonly isOverloaded: boolean;
}

export const calm: DelayState = { aboveSinceMs: undefined, isOverloaded: false };

/** The state after a request has waited for `waitedMs`. */
export function nextDelay(
  state: DelayState,
  waitedMs: number,
  nowMs: number,
  limits: { readonly targetWaitMs: number; readonly overloadAfterMs: number },
): DelayState {
  if (waitedMs < limits.targetWaitMs) return calm;
  const aboveSinceMs = state.aboveSinceMs ?? nowMs;
  const isOverloaded = state.isOverloaded || nowMs - aboveSinceMs >= limits.overloadAfterMs;
  return { aboveSinceMs, isOverloaded };
}
