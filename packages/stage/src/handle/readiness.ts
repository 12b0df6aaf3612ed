import { type Clock, sleep, withDeadline } from '@holdfast/foundation';
import type { ServerDriver } from './server.ts';

/** How far a server has come: `listening` answers, but not yet to ordinary commands (-LOADING). */
export type Readiness = 'listening' | 'ready';

/** The first pause between two probes; each further one is half as long again, up to the last. */
const FIRST_PAUSE_MS = 2;
const LAST_PAUSE_MS = 50;
/** How long one probe may stay without an answer before the next is tried. */
const PROBE_TIMEOUT_MS = 1_000;

/** What the probes of one start have met so far; the cause of the error if no answer ever comes. */
export interface StartProgress {
  lastFailure?: unknown;
  ended?: string;
}

/**
 * Probes until the server has come as far as `until`, or `watch.ended` is set. Rejects with the signal's
 * own reason.
 */
export async function waitForAnswer(
  clock: Clock,
  probe: ServerDriver['probe'],
  until: Readiness,
  watch: StartProgress,
  signal: AbortSignal,
): Promise<'answered' | 'ended'> {
  const silent = (): Error => new Error(`a probe had no answer after ${PROBE_TIMEOUT_MS} ms`);
  let pauseMs = FIRST_PAUSE_MS;
  while (watch.ended === undefined) {
    try {
      const readiness = await withDeadline(clock, PROBE_TIMEOUT_MS, signal, silent, probe);
      if (readiness === 'ready' || until === 'listening') return 'answered';
      watch.lastFailure = new Error('it answers, but is still loading its data');
    } catch (error) {
      signal.throwIfAborted();
      watch.lastFailure = error;
    }
    await sleep(clock, pauseMs, signal);
    pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 1.5);
  }
  return 'ended';
}
