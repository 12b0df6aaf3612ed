import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, sleep, systemClock } from '@holdfast/foundation';

/** How long requests are started before the event loop gets a turn. */
export const SLICE_MS = 1;

/**
 * Gives the event loop a turn, in which responses are read and signals abort. A clock that is not the machine's moves
 * only by its own timers, so it gets one.
 */
export function yieldTurn(clock: Clock, idleMs = 0): Promise<unknown> {
  return clock === systemClock ? nextTurn() : sleep(clock, idleMs);
}
