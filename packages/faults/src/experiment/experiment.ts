import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  objectWith,
  integer,
  object,
  number,
  optional,
  parseOptions,
  sleep,
  systemClock,
  string,
} from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';
import { SteadyStateError } from '../errors.ts';
import { lessonsOf } from './lessons.ts';
import { startProbing } from './probing.ts';
import {
  type PhaseStats,
  type Sample,
  createTally,
  endpointsOutside,
  outageIn,
  statsOf,
} from './samples.ts';

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
  /** The share of an endpoint's probes that is bad as a rule, fault or no fault. Default 0. */
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
  verify?: (signal: AbortSignal) => unknown;
  /** How long that may take; then it does not hold. Default 300 000. */
  verifyTimeoutMs?: number;
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
const probesRule: OptionRule<Readonly<Record<string, Probe>>> = {
  permitted: permittedProbes,
  parse(value, field, owner) {
    if (!isProbes(value)) throw new InvalidOptionError(owner, field, value, permittedProbes);
    return value;
  },
};
const shape = {
  name: string({ maxLength: 200 }),
  steadyState: object({
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
  verify: callback<(signal: AbortSignal) => unknown>(() => {}),
  verifyTimeoutMs: integer({ ...ms, default: 300_000 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Watches the steady state, breaks something, watches what users feel, puts it right, watches the way
 * back, and verifies. The fault is undone whatever happens.
 * @throws InvalidOptionError; SteadyStateError when there was none, and then nothing was broken; what the
 * fault or its undoing throws; the signal's own reason.
 */
export async function experiment(options: ExperimentOptions): Promise<ExperimentResult> {
  const settled = parseOptions('experiment', shape, options);
  const { name, steadyState, clock, signal, abortIf, recoveryTimeoutMs } = settled;
  const { intervalMs, timeoutMs, maxLatencyMs = timeoutMs, maxBadShare } = steadyState;
  const ending = new AbortController();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort, { once: true });

  const nobody = (): void => {};
  let onSample: (sample: Sample) => void = nobody;
  const probing = startProbing({
    ...steadyState,
    maxLatencyMs,
    clock,
    signal: ending.signal,
    onSample: (sample) => onSample(sample),
  });
  /** Waits, at most `limitMs`, until `holds` does after some probe. @throws what it throws */
  const watch = async (limitMs: number, holds: (sample: Sample) => boolean): Promise<boolean> => {
    const reached = new AbortController();
    let broken: { readonly by: unknown } | undefined;
    onSample = (sample) => {
      try {
        if (holds(sample)) reached.abort();
      } catch (error) {
        broken ??= { by: error };
        reached.abort();
      }
    };
    const limit = AbortSignal.any([reached.signal, ending.signal]);
    await sleep(clock, limitMs, limit).catch(() => ending.signal.throwIfAborted());
    onSample = nobody;
    if (broken !== undefined) throw broken.by;
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
    const undo: unknown = await settled.fault(ending.signal);
    if (!isUndo(undo)) {
      const permitted = 'a function that returns what undoes the fault';
      throw new InvalidOptionError('experiment', 'fault', undo, permitted);
    }
    let isAborted = false;
    try {
      const soFar = createTally();
      for (const sample of during(injectedMs, Number.POSITIVE_INFINITY)) soFar.record(sample);
      isAborted = await watch(settled.durationMs, (sample) => {
        if (abortIf === undefined || sample.startedMs < injectedMs) return false;
        soFar.record(sample);
        return abortIf(soFar.read());
      });
    } finally {
      await undo();
    }

    const undoneMs = clock.now();
    const endpoints = Object.keys(steadyState.probes);
    const goodInARow = new Map<string, number>();
    const isStable = ({ endpoint, startedMs, isGood }: Sample): boolean => {
      if (startedMs < undoneMs) return false;
      goodInARow.set(endpoint, isGood ? (goodInARow.get(endpoint) ?? 0) + 1 : 0);
      return endpoints.every((each) => (goodInARow.get(each) ?? 0) >= settled.stableProbes);
    };
    const isBack = await watch(recoveryTimeoutMs, isStable);
    await probing.stop();
    const limits = { name: 'verify', timeoutMs: settled.verifyTimeoutMs, clock };
    const verifyError: unknown = await verified(settled.verify, limits, ending.signal);

    const underFault = during(injectedMs, undoneMs);
    const after = during(undoneMs, Number.POSITIVE_INFINITY);
    const outside = new Set([
      ...endpointsOutside(underFault, maxBadShare),
      ...endpointsOutside(after, maxBadShare),
    ]);
    const impact = statsOf(underFault);
    const outage = outageIn(
      probing.samples.filter(({ endpoint }) => outside.has(endpoint)),
      injectedMs,
    );
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
      recovery: statsOf(after),
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

/** What `verify` rejected with; undefined when it held. @throws the signal's own reason */
async function verified(
  verify: (signal: AbortSignal) => unknown,
  limits: { name: string; timeoutMs: number; clock: Clock },
  signal: AbortSignal,
): Promise<unknown> {
  try {
    await withTimeout(async (limit) => verify(limit), { ...limits, signal });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error ?? new Error('verify rejected with nothing');
  }
}

function isUndo(value: unknown): value is Undo {
  return typeof value === 'function';
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
