import type { PhaseStats } from './samples.ts';

interface Observations {
  readonly impact: PhaseStats;
  readonly detectionMs: number | undefined;
  readonly outageMs: number | undefined;
  readonly isBack: boolean;
  readonly wasBackUnderFault: boolean;
  readonly isAborted: boolean;
  /** How often an endpoint left the steady state after the fault was undone. */
  readonly relapses: number;
  readonly endpoints: readonly string[];
  readonly recoveryTimeoutMs: number;
  readonly verifyError: unknown;
  readonly undoError: unknown;
}

/** Returns the findings of an experiment as sentences; the numbers are in its result. */
export function findingsOf(observed: Observations): readonly string[] {
  const { impact, detectionMs, outageMs, endpoints, relapses } = observed;
  const lessons: string[] = [];
  if (observed.isAborted) lessons.push('The experiment was aborted before its time.');
  if (detectionMs === undefined) {
    lessons.push(
      'No endpoint left the steady state: the fault was absorbed, or it missed its target.',
    );
    if (impact.bad > 0) {
      lessons.push(
        `${impact.bad} of ${impact.probes} probes were bad during the fault, which can be chance.`,
      );
    }
  } else {
    const share = Math.round(impact.badShare * 100);
    lessons.push(
      `Felt after ${Math.round(detectionMs)} ms by ${endpoints.join(', ')}; ${share} % of the probes were bad while it lasted.`,
    );
  }
  const timeouts = impact.errors.network_timeout ?? 0;
  if (impact.bad > 0 && timeouts * 2 > impact.bad) {
    lessons.push('Most bad probes ran into their timeout: users wait before they are refused.');
  }
  if (outageMs !== undefined) {
    lessons.push(
      observed.wasBackUnderFault
        ? `Back after ${Math.round(outageMs)} ms although the fault was still active: it heals itself.`
        : `Back after ${Math.round(outageMs)} ms, once the fault was undone.`,
    );
  } else if (!observed.isBack) {
    lessons.push(`Not back ${observed.recoveryTimeoutMs} ms after the fault was undone.`);
  }
  if (relapses > 0) {
    const often = relapses === 1 ? 'once more' : `${relapses} more times`;
    const end = observed.isBack ? '' : ': it is flapping';
    lessons.push(`Left the steady state ${often} after the fault was undone${end}.`);
  }
  if (observed.undoError !== undefined) {
    lessons.push('The fault was not undone and may still be there: see undoError.');
  }
  if (observed.verifyError !== undefined) {
    lessons.push('The verification afterwards failed: see verifyError.');
  }
  return lessons;
}
