import {
  type Clock,
  InvalidOptionError,
  type Rule,
  callback,
  having,
  integer,
  nested,
  number,
  optional,
  readOptions,
  sleep,
  systemClock,
  text,
} from '@holdfast/resilience';
import { SteadyStateError } from '../errors.ts';
import { lessonsOf } from './lessons.ts';
import { startProbing } from './probing.ts';
import { type PhaseStats, type Sample, outageIn, statsOf } from './samples.ts';

type Probe = (signal: AbortSignal) => unknown;

export interface SteadyState {
  /** What users do, by the endpoint they do it at; a probe that rejects is bad. */
  probes: Readonly<Record<string, Probe>>;
  /** The pace of each probe, and so the resolution of every time measured. Default 10. */
  intervalMs?: number;
  /** A probe that takes longer has failed. Default 1 000. */
  timeoutMs?: number;
  /** A probe that takes longer is bad, though it answered. Default: `timeoutMs`. */
  maxLatencyMs?: number;
  /** The share of bad probes that is normal. Default 0. */
  maxBadShare?: number;
}

export interface ExperimentOptions {
  name: string;
  steadyState: SteadyState;
  /** Breaks something, and returns what undoes it; that is called whatever happens. */
  fault: (signal: AbortSignal) => Undo | Promise<Undo>;
  /** How long the steady state is watched first. Default 1 000. */
  baselineMs?: number;
  /** How long the fault lasts. */
  durationMs: number;
  /** Asked after every probe of the impact; `true` undoes the fault at once. */
  abortIf?: (impact: PhaseStats) => boolean;
  /** How long the steady state may take to come back. Default 30 000. */
  recoveryTimeoutMs?: number;
  /** Good probes in a row at every endpoint that count as back. Default 5. */
  stableProbes?: number;
  /** What has to hold afterwards: nothing lost, nothing doubled; rejects when it does not. */
  verify?: () => unknown;
  signal?: AbortSignal;
  clock?: Clock;
}

/** Puts right what a fault broke. */
export type Undo = () => unknown;

export interface ExperimentResult {
  readonly name: string;
  /**
   * `withstood`: never outside its steady state. `recovered`: outside, and back. `lost`: not back in
   * time, or `verify` rejected. `aborted`: by `abortIf`.
   */
  readonly verdict: 'withstood' | 'recovered' | 'lost' | 'aborted';
  readonly baseline: PhaseStats;
  readonly impact: PhaseStats;
  readonly recovery: PhaseStats;
  /** From the injection to the first bad probe's end. */
  readonly detectionMs?: number;
  /** From the first bad probe's end to the first good one after the last bad one (MTTR of this outage). */
  readonly outageMs?: number;
  /** From the undoing of the fault to that same good probe; absent when it came before. */
  readonly recoveryMs?: number;
  /** No time here is finer than this. */
  readonly resolutionMs: number;
  readonly blastRadius: {
    /** Of the probes while the fault was there. */
    readonly share: number;
    readonly endpoints: readonly string[];
  };
  readonly verifyError?: unknown;
  readonly lessons: readonly string[];
}

const ms = { min: 1, max: 86_400_000 };
const permittedProbes = 'an object of one to a hundred functions';
const probesRule: Rule<Readonly<Record<string, Probe>>> = {
  permitted: permittedProbes,
  accepts(value, field, owner) {
    if (!isProbes(value)) throw new InvalidOptionError(owner, field, value, permittedProbes);
    return value;
  },
};
const shape = {
  name: text({ maxLength: 200 }),
  steadyState: nested({
    probes: probesRule,
    intervalMs: integer({ ...ms, default: 10 }),
    timeoutMs: integer({ ...ms, default: 1_000 }),
    maxLatencyMs: optional(integer(ms)),
    maxBadShare: number({ min: 0, max: 1, default: 0 }),
  }),
  fault: callback<ExperimentOptions['fault']>(),
  baselineMs: integer({ ...ms, default: 1_000 }),
  durationMs: integer(ms),
  abortIf: optional(callback<(impact: PhaseStats) => boolean>()),
  recoveryTimeoutMs: integer({ ...ms, default: 30_000 }),
  stableProbes: integer({ min: 1, max: 1_000, default: 5 }),
  verify: callback<() => unknown>(() => {}),
  signal: optional(having<AbortSignal>(['addEventListener', 'aborted'])),
  clock: having<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Watches the steady state, breaks something, watches what users feel, puts it right, watches the way
 * back, and verifies. The fault is undone whatever happens.
 * @throws InvalidOptionError; SteadyStateError when there was none, and then nothing was broken; what the
 * fault or its undoing throws; the signal's own reason.
 */
export async function experiment(options: ExperimentOptions): Promise<ExperimentResult> {
  const settled = readOptions('experiment', shape, options);
  const { name, steadyState, clock, signal, abortIf, recoveryTimeoutMs } = settled;
  const { intervalMs, timeoutMs, maxLatencyMs = timeoutMs, maxBadShare } = steadyState;
  const ending = new AbortController();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort, { once: true });

  let onSample = (): void => {};
  const probing = startProbing({
    ...steadyState,
    maxLatencyMs,
    clock,
    signal: ending.signal,
    onSample: () => onSample(),
  });
  /** Waits, at most `limitMs`, until `holds` does after some probe. */
  const watch = async (limitMs: number, holds: () => boolean): Promise<boolean> => {
    const reached = new AbortController();
    onSample = () => {
      if (holds()) reached.abort();
    };
    const limit = AbortSignal.any([reached.signal, ending.signal]);
    await sleep(clock, limitMs, limit).catch(() => ending.signal.throwIfAborted());
    onSample = () => {};
    return reached.signal.aborted;
  };
  const during = (fromMs: number, toMs: number): readonly Sample[] =>
    probing.samples.filter(({ startedMs }) => startedMs >= fromMs && startedMs < toMs);

  try {
    const beganMs = clock.now();
    await watch(settled.baselineMs, () => false);
    const baseline = statsOf(during(beganMs, Number.POSITIVE_INFINITY));
    if (baseline.probes === 0 || baseline.badShare > maxBadShare) {
      throw new SteadyStateError(name, baseline);
    }

    const injectedMs = clock.now();
    const undo = await settled.fault(ending.signal);
    let isAborted = false;
    try {
      const impactSoFar = (): PhaseStats => statsOf(during(injectedMs, Number.POSITIVE_INFINITY));
      isAborted = await watch(
        settled.durationMs,
        () => abortIf !== undefined && abortIf(impactSoFar()),
      );
    } finally {
      await undo();
    }

    const undoneMs = clock.now();
    const endpoints = Object.keys(steadyState.probes);
    const isStable = (): boolean =>
      endpoints.every((endpoint) => {
        const latest = during(undoneMs, Number.POSITIVE_INFINITY)
          .filter((sample) => sample.endpoint === endpoint)
          .slice(-settled.stableProbes);
        return latest.length === settled.stableProbes && latest.every(({ isGood }) => isGood);
      });
    const isBack = await watch(recoveryTimeoutMs, isStable);
    await probing.stop();
    const verifyError: unknown = await verified(settled.verify);

    const impact = statsOf(during(injectedMs, undoneMs));
    const outage = outageIn(probing.samples, injectedMs);
    const backMs = isBack ? outage?.backMs : undefined;
    const detectionMs = outage === undefined ? undefined : outage.seenMs - injectedMs;
    const outageMs =
      outage === undefined || backMs === undefined
        ? undefined
        : Math.max(0, backMs - outage.seenMs);
    const isLost = !isBack || verifyError !== undefined;
    const reached = outage === undefined ? 'withstood' : 'recovered';
    return {
      name,
      verdict: isAborted ? 'aborted' : isLost ? 'lost' : reached,
      baseline,
      impact,
      recovery: statsOf(during(undoneMs, Number.POSITIVE_INFINITY)),
      ...(detectionMs === undefined ? {} : { detectionMs }),
      ...(outageMs === undefined ? {} : { outageMs }),
      ...(backMs === undefined || backMs < undoneMs ? {} : { recoveryMs: backMs - undoneMs }),
      resolutionMs: intervalMs,
      blastRadius: { share: impact.badShare, endpoints: outage?.endpoints ?? [] },
      ...(verifyError === undefined ? {} : { verifyError }),
      lessons: lessonsOf({
        impact,
        detectionMs,
        outageMs,
        isBack,
        wasBackUnderFault: backMs !== undefined && backMs < undoneMs,
        isAborted,
        endpoints: outage?.endpoints ?? [],
        recoveryTimeoutMs,
        verifyError,
      }),
    };
  } finally {
    signal?.removeEventListener('abort', onAbort);
    ending.abort(signal?.reason ?? new DOMException('the experiment is over', 'AbortError'));
    await probing.stop();
  }
}

/** What `verify` rejected with; undefined when it held. */
async function verified(verify: () => unknown): Promise<unknown> {
  try {
    await verify();
    return undefined;
  } catch (error) {
    return error ?? new Error('verify rejected with nothing');
  }
}

function isProbes(value: unknown): value is Readonly<Record<string, Probe>> {
  if (typeof value !== 'object' || value === null) return false;
  const probes = Object.values(value);
  return (
    probes.length > 0 &&
    probes.length <= 100 &&
    probes.every((probe) => typeof probe === 'function')
  );
}
