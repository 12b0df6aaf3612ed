import { type Clock, sleep, withDeadline } from '@holdfast/foundation';
import type { Readiness, ServerDriver } from './driver.ts';

/** The first pause between two probes; each further one is half as long again, up to the longest. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;
/** How long one probe may wait for an answer before the next is sent. */
const PROBE_TIMEOUT_MS = 1_000;

/** What has been seen of one start so far; the last failure is the cause of its error. */
export interface StartProgress {
  lastFailure?: unknown;
  ended?: string;
}

/**
 * Probes until the server is as ready as `until`, or `progress.ended` is set. Rejects with the signal's own
 * reason.
 */
export async function waitForAnswer(
  clock: Clock,
  probe: ServerDriver['probe'],
  until: Readiness,
  progress: StartProgress,
  signal: AbortSignal,
): Promise<'answered' | 'ended'> {
  const late = (): Error => new Error(`a probe had no answer after ${PROBE_TIMEOUT_MS} ms`);
  let pauseMs = FIRST_PAUSE_MS;
  while (progress.ended === undefined) {
    try {
      const readiness = await withDeadline(clock, PROBE_TIMEOUT_MS, signal, late, probe);
      if (readiness === 'ready' || until === 'listening') return 'answered';
      progress.lastFailure = new Error('it answers, but is still loading its data');
    } catch (error) {
      signal.throwIfAborted();
      progress.lastFailure = error;
    }
    await sleep(clock, pauseMs, signal);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5);
  }
  return 'ended';
}
