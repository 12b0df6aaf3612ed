/**
 * How long the main thread has not turned, judged by another thread: a number of beats in shared memory, which the main
 * thread raises, is read at each tick. A tick that comes late itself proves nothing about the main thread, so that a
 * process that was frozen as a whole, or starved, is not called stalled.
 */

/** What is known of the main thread. */
export interface StallState {
  readonly beat: number;
  readonly tickedMs: number;
  /** For how long the beats have not moved; 0 while they do. */
  readonly stalledMs: number;
}

/** The state after a tick at which `beat` was read. `tickMs`: how long a tick should take. */
export function nextStall(
  state: StallState,
  beat: number,
  nowMs: number,
  tickMs: number,
): StallState {
  if (beat !== state.beat) return { beat, tickedMs: nowMs, stalledMs: 0 };
  const passedMs = Math.min(nowMs - state.tickedMs, tickMs * 2);
  return { beat, tickedMs: nowMs, stalledMs: state.stalledMs + passedMs };
}
