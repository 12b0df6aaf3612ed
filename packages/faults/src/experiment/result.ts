import { type Baseline, CONFIDENCE } from './baseline.ts';
import type { Detection, EndpointOutage, Moments } from './detection.ts';
import { findingsOf } from './lessons.ts';
import { type PhaseStats, type Sample, statsOf } from './samples.ts';

/** What an experiment has shown. All times in milliseconds. */
export interface ExperimentResult {
  readonly name: string;
  /**
   * `withstood`: no endpoint left its steady state. `recovered`: one did, and all are back to stay. `lost`: not back in
   * time, or flapping, or not undone, or `verify` rejected. `aborted`: by `abortIf`.
   */
  readonly verdict: 'withstood' | 'recovered' | 'lost' | 'aborted';
  readonly baseline: PhaseStats;
  /** The probes sent before the fault was undone, also those that were in progress when it was injected. */
  readonly impact: PhaseStats;
  readonly recovery: PhaseStats;
  /** From the injection to when the first bad probe was known to be bad. */
  readonly detectionMs?: number;
  /**
   * From the first bad probe of an outage to when the endpoint was good again after the last one (the MTTR of this
   * outage); of several endpoints, from the first to the last.
   */
  readonly outageMs?: number;
  /** From the end of undoing to that same moment; 0 when it came during the undoing, absent when it came before. */
  readonly recoveryMs?: number;
  /**
   * How exactly the times above are known: the interval of the probes, more where there was no probe or no answer for
   * longer, as on a busy machine, and the usual latency of a probe.
   */
  readonly resolutionMs: number;
  /** How sure it is that a fault without an effect is `withstood`, where `maxBadShare` permits bad probes. */
  readonly confidence: number;
  readonly blastRadius: {
    /** The share of bad probes during the fault. */
    readonly share: number;
    readonly endpoints: readonly string[];
  };
  readonly verifyError?: unknown;
  /** A FaultNotUndoneError, when undoing failed or took too long: the fault may still be there. */
  readonly undoError?: unknown;
  readonly lessons: readonly string[];
}

/** What was measured, from which the result follows. */
interface Measured extends Moments {
  readonly name: string;
  readonly baseline: Baseline;
  readonly detection: Detection;
  /** Every probe that the fault can have changed. */
  readonly samples: readonly Sample[];
  readonly intervalMs: number;
  readonly recoveryTimeoutMs: number;
  readonly isAborted: boolean;
  readonly isBack: boolean;
  readonly verifyError: unknown;
  readonly undoError: unknown;
}

export function resultOf(measured: Measured): ExperimentResult {
  const { name, baseline, detection, samples, intervalMs } = measured;
  const { undoingMs, undoneMs, isAborted, isBack, verifyError, undoError } = measured;
  const impact = statsOf(samples.filter(({ startedMs }) => startedMs < undoneMs));
  const effects = detection.effects(measured);
  const endpoints = effects.map(({ endpoint }) => endpoint);
  const { detectionMs, outageMs, backMs } = timesOf(effects, measured);
  const isLost = !isBack || verifyError !== undefined || undoError !== undefined;
  const reached = effects.length === 0 ? 'withstood' : 'recovered';
  const resolutionMs = Math.max(intervalMs, ...effects.map((effect) => effect.resolutionMs));
  // What came back with the undoing may seem to have been a little earlier.
  const wasBackUnderFault = backMs !== undefined && backMs + resolutionMs < undoingMs;
  return {
    name,
    verdict: isAborted ? 'aborted' : isLost ? 'lost' : reached,
    baseline: baseline.stats,
    impact,
    recovery: statsOf(samples.filter(({ startedMs }) => startedMs >= undoneMs)),
    ...(detectionMs === undefined ? {} : { detectionMs }),
    ...(outageMs === undefined ? {} : { outageMs }),
    ...(backMs === undefined || wasBackUnderFault
      ? {}
      : { recoveryMs: Math.max(0, backMs - undoneMs) }),
    resolutionMs,
    confidence: CONFIDENCE,
    blastRadius: { share: impact.badShare, endpoints },
    ...(verifyError === undefined ? {} : { verifyError }),
    ...(undoError === undefined ? {} : { undoError }),
    lessons: findingsOf({
      ...measured,
      impact,
      detectionMs,
      outageMs,
      wasBackUnderFault,
      relapses: detection.outagesSince(undoneMs),
      endpoints,
    }),
  };
}

interface Times {
  readonly detectionMs?: number;
  readonly outageMs?: number;
  readonly backMs?: number;
}

function timesOf(effects: readonly EndpointOutage[], { injectedMs, isBack }: Measured): Times {
  if (effects.length === 0) return {};
  const beganMs = Math.min(...effects.map((effect) => effect.beganMs));
  const detectionMs = Math.min(...effects.map(({ detectedMs }) => detectedMs)) - injectedMs;
  const backMs = Math.max(...effects.map((effect) => effect.backMs ?? Number.POSITIVE_INFINITY));
  if (!isBack || !Number.isFinite(backMs)) return { detectionMs };
  return { detectionMs, outageMs: Math.max(0, backMs - beganMs), backMs };
}
