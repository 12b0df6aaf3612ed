import type { Outage } from './outage-detector.ts';
import type { Sample } from './samples.ts';

/** When an outage began and ended. */
export interface OutageTimes {
  /** When its first bad probe was sent; the injection, if that was earlier. */
  readonly beganMs: number;
  /** When the first of its bad probes was known to be bad. */
  readonly detectedMs: number;
  /** When the endpoint was good again after its last bad probe; absent when it was not. */
  readonly backMs?: number;
  /**
   * How exactly these times are known: the time between the last probe without the change and the first one with it, and
   * the usual latency of a probe.
   */
  readonly resolutionMs: number;
}

interface OutageTimesOptions {
  readonly injectedMs: number;
  /** When the undoing of the fault began. */
  readonly undoingMs: number;
  /** Between the probes. */
  readonly intervalMs: number;
  readonly usualLatencyMs: number;
  /** How long a probe takes at most that is not bad. */
  readonly maxLatencyMs: number;
  /** The share of bad probes without a fault. */
  readonly badShare: number;
}

/** @param samples all probes of the endpoint that the fault can have changed, in order of their start. */
export function timesOfOutage(
  samples: readonly Sample[],
  { firstBad, lastBad }: Outage,
  options: OutageTimesOptions,
): OutageTimes {
  const { injectedMs, intervalMs, usualLatencyMs, maxLatencyMs, badShare } = options;
  const within = samples.filter(({ index }) => index >= firstBad.index && index <= lastBad.index);
  const bad = within.filter(({ isGood }) => !isGood);
  const known = bad.map(({ startedMs, endedMs }) => Math.min(endedMs, startedMs + maxLatencyMs));
  const before = samples.filter(({ index }) => index < firstBad.index);
  const after = samples.filter(({ index, isGood }) => index > lastBad.index && isGood);
  const beganMs = Math.max(firstBad.startedMs, injectedMs);
  // A probe that was held up until the fault ended shows with its end that the endpoint is back.
  const returns = after.map(({ startedMs, endedMs }) =>
    Math.max(startedMs, endedMs - usualLatencyMs),
  );
  const backMs = Math.min(least(returns), releasedMs(within, after[0]) - usualLatencyMs);
  const isBack = after.length > 0;
  const gaps = [
    beganMs - Math.max(injectedMs, before.at(-1)?.startedMs ?? injectedMs),
    isBack ? backMs - greatest(bad.map((sample) => certainlyBadMs(sample, options))) : 0,
    // Beside an outage, a probe that is bad at random looks as if it belonged to it.
    ...(badShare === 0 ? [] : [apart(bad[0], bad[1]), apart(bad.at(-2), bad.at(-1))]),
  ];
  return {
    beganMs,
    detectedMs: Math.max(least(known), injectedMs),
    ...(isBack ? { backMs } : {}),
    resolutionMs: Math.max(intervalMs, ...gaps) + usualLatencyMs,
  };
}

/**
 * Returns until when a bad probe proves that the endpoint was bad. While a probe waits for its answer, it may be that of a
 * busy machine once the fault is being undone.
 */
function certainlyBadMs(
  { startedMs, endedMs }: Sample,
  { maxLatencyMs, undoingMs }: OutageTimesOptions,
): number {
  const lateMs = startedMs + maxLatencyMs;
  if (endedMs <= lateMs) return endedMs;
  return lateMs <= undoingMs ? lateMs : Math.max(startedMs, undoingMs);
}

/**
 * Returns when the last probes of an outage were let go: they succeeded, too late, and ended faster one after the other
 * than they were sent. Infinity when they were not held up.
 */
function releasedMs(within: readonly Sample[], firstGood: Sample | undefined): number {
  let later = firstGood;
  let earliestMs = Number.POSITIVE_INFINITY;
  for (const sample of within.toReversed()) {
    if (later === undefined || sample.isGood || sample.error !== undefined) break;
    if (later.endedMs - sample.endedMs > (later.startedMs - sample.startedMs) / 2) break;
    earliestMs = Math.min(earliestMs, sample.endedMs);
    later = sample;
  }
  return earliestMs;
}

function apart(one: Sample | undefined, other: Sample | undefined): number {
  return one === undefined || other === undefined ? 0 : other.startedMs - one.startedMs;
}

function least(values: readonly number[]): number {
  return values.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
}

function greatest(values: readonly number[]): number {
  return values.reduce((one, other) => Math.max(one, other), Number.NEGATIVE_INFINITY);
}
