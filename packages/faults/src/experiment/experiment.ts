import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type ResolvedOptions,
  callback,
  objectWith,
  integer,
  object,
  number,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { withTimeout } from '@holdfast/resilience';
import { SteadyStateError } from '../errors.ts';
import { findingsOf } from './lessons.ts';
import {
  type PhaseStats,
  createSampleCounter,
  endpointsOutside,
  outageIn,
  statsOf,
} from './samples.ts';
import { Watch } from './watch.ts';

type Probe = (signal: AbortSignal) => unknown;

export interface SteadyState {
  /** The probes by the name of their endpoint; a probe that rejects is bad. */
  probes: Readonly<Record<string, Probe>>;
  /** The interval of each probe, and so the resolution of every measured time. Default 10. */
  intervalMs?: number;
  /** A probe that takes longer fails. Default 1 000. */
  timeoutMs?: number;
  /** A probe that takes longer is bad although it succeeded. Default: `timeoutMs`. */
  maxLatencyMs?: number;
  /** The share of bad probes an endpoint has without a fault. Default 0. */
  maxBadShare?: number;
}

export interface ExperimentOptions {
  name: string;
  steadyState: SteadyState;
  /** Injects the fault and returns a function that undoes it, which is called in any case. */
  fault: (signal: AbortSignal) => Undo | Promise<Undo>;
  /** How long the steady state is measured first. Default 1 000. */
  baselineMs?: number;
  /** How long the fault lasts. */
  durationMs: number;
  /** Called after every probe during the fault; `true` undoes the fault at once. */
  abortIf?: (impact: PhaseStats) => boolean;
  /** How long the recovery may take. Default 30 000. */
  recoveryTimeoutMs?: number;
  /** How many good probes in a row every endpoint needs to count as recovered. Default 5. */
  stableProbes?: number;
  /** Checks afterwards, for example, that nothing was lost or duplicated; rejects when it was. */
  verify?: (signal: AbortSignal) => unknown;
  /** How long `verify` may take before it counts as failed. Default 300 000. */
  verifyTimeoutMs?: number;
  signal?: AbortSignal;
  clock?: Clock;
}

/** Undoes a fault. */
export type Undo = () => unknown;

export interface ExperimentResult {
  readonly name: string;
  /**
   * `withstood`: never outside the steady state. `recovered`: outside and back. `lost`: not back in time, or `verify`
   * rejected. `aborted`: by `abortIf`.
   */
  readonly verdict: 'withstood' | 'recovered' | 'lost' | 'aborted';
  readonly baseline: PhaseStats;
  readonly impact: PhaseStats;
  readonly recovery: PhaseStats;
  /** From the injection to the end of the first bad probe. */
  readonly detectionMs?: number;
  /** From the end of the first bad probe to the first good one after the last bad one (the MTTR of this outage). */
  readonly outageMs?: number;
  /** From the end of the fault to that same good probe; absent when the probe came before. */
  readonly recoveryMs?: number;
  /** The resolution of the times above. */
  readonly resolutionMs: number;
  readonly blastRadius: {
    /** The share of bad probes during the fault. */
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

type ResolvedExperiment = ResolvedOptions<typeof shape>;

/**
 * Probes the steady state, injects a fault, measures its effect, undoes it, measures the recovery, and verifies. The
 * fault is undone in any case.
 * @throws InvalidOptionError; SteadyStateError without a steady state, and then no fault is injected; the error of the
 * fault or of undoing it; the signal's reason.
 */
export async function experiment(given: ExperimentOptions): Promise<ExperimentResult> {
  const options = parseOptions('experiment', shape, given);
  const { steadyState, clock, signal } = options;
  const ending = new AbortController();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort, { once: true });
  const watch = new Watch({
    ...steadyState,
    maxLatencyMs: steadyState.maxLatencyMs ?? steadyState.timeoutMs,
    clock,
    signal: ending.signal,
  });
  try {
    return await runPhases(options, watch, ending.signal);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    ending.abort(signal?.reason ?? new DOMException('the experiment is over', 'AbortError'));
    await watch.stop();
  }
}

async function runPhases(
  options: ResolvedExperiment,
  watch: Watch,
  signal: AbortSignal,
): Promise<ExperimentResult> {
  const { name, clock } = options;
  const baseline = await measureBaseline(options, watch);
  const injectedMs = clock.now();
  const isAborted = await injectFault(options, watch, injectedMs, signal);
  const undoneMs = clock.now();
  const isBack = await awaitRecovery(options, watch, undoneMs);
  await watch.stop();
  const limits = { name: 'verify', timeoutMs: options.verifyTimeoutMs, clock };
  const verifyError: unknown = await verified(options.verify, limits, signal);
  const outcome = { injectedMs, undoneMs, isAborted, isBack, verifyError };
  return { name, baseline, ...resultOf(options, watch, outcome) };
}

/** @throws SteadyStateError */
async function measureBaseline(options: ResolvedExperiment, watch: Watch): Promise<PhaseStats> {
  const beganMs = options.clock.now();
  await watch.until(options.baselineMs, () => false);
  const baseline = statsOf(watch.between(beganMs));
  if (baseline.probes === 0 || baseline.badShare > options.steadyState.maxBadShare)
    throw new SteadyStateError(options.name, baseline);
  return baseline;
}

/** Injects the fault for its duration and undoes it; returns whether `abortIf` ended it early. */
async function injectFault(
  { fault, durationMs, abortIf }: ResolvedExperiment,
  watch: Watch,
  injectedMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const undo: unknown = await fault(signal);
  if (!isUndo(undo)) {
    const permitted = 'a function that returns what undoes the fault';
    throw new InvalidOptionError('experiment', 'fault', undo, permitted);
  }
  try {
    const impact = createSampleCounter();
    for (const sample of watch.between(injectedMs)) impact.record(sample);
    return await watch.until(durationMs, (sample) => {
      if (abortIf === undefined || sample.startedMs < injectedMs) return false;
      impact.record(sample);
      return abortIf(impact.read());
    });
  } finally {
    await undo();
  }
}

/** Waits until every endpoint had enough good probes in a row; returns whether they had. */
function awaitRecovery(
  { steadyState, stableProbes, recoveryTimeoutMs }: ResolvedExperiment,
  watch: Watch,
  undoneMs: number,
): Promise<boolean> {
  const endpoints = Object.keys(steadyState.probes);
  const goodInARow = new Map<string, number>();
  return watch.until(recoveryTimeoutMs, ({ endpoint, startedMs, isGood }) => {
    if (startedMs < undoneMs) return false;
    goodInARow.set(endpoint, isGood ? (goodInARow.get(endpoint) ?? 0) + 1 : 0);
    return endpoints.every((each) => (goodInARow.get(each) ?? 0) >= stableProbes);
  });
}

function resultOf(
  { steadyState, recoveryTimeoutMs }: ResolvedExperiment,
  watch: Watch,
  outcome: {
    readonly injectedMs: number;
    readonly undoneMs: number;
    readonly isAborted: boolean;
    readonly isBack: boolean;
    readonly verifyError: unknown;
  },
): Omit<ExperimentResult, 'name' | 'baseline'> {
  const { injectedMs, undoneMs, isAborted, isBack, verifyError } = outcome;
  const { maxBadShare, intervalMs } = steadyState;
  const during = watch.between(injectedMs, undoneMs);
  const after = watch.between(undoneMs);
  const outside = new Set([
    ...endpointsOutside(during, maxBadShare),
    ...endpointsOutside(after, maxBadShare),
  ]);
  const impact = statsOf(during);
  const outage = outageIn(
    watch.samples.filter(({ endpoint }) => outside.has(endpoint)),
    injectedMs,
  );
  const endpoints = outage?.endpoints ?? [];
  const backMs = isBack ? outage?.backMs : undefined;
  const detectionMs = outage === undefined ? undefined : outage.detectedMs - injectedMs;
  const outageMs =
    outage === undefined || backMs === undefined
      ? undefined
      : Math.max(0, backMs - outage.detectedMs);
  const isLost = !isBack || verifyError !== undefined;
  const reached = outage === undefined ? 'withstood' : 'recovered';
  return {
    verdict: isAborted ? 'aborted' : isLost ? 'lost' : reached,
    impact,
    recovery: statsOf(after),
    ...(detectionMs === undefined ? {} : { detectionMs }),
    ...(outageMs === undefined ? {} : { outageMs }),
    ...(backMs === undefined || backMs < undoneMs ? {} : { recoveryMs: backMs - undoneMs }),
    resolutionMs: intervalMs,
    blastRadius: { share: impact.badShare, endpoints },
    ...(verifyError === undefined ? {} : { verifyError }),
    lessons: findingsOf({
      impact,
      detectionMs,
      outageMs,
      isBack,
      wasBackUnderFault: backMs !== undefined && backMs < undoneMs,
      isAborted,
      endpoints,
      recoveryTimeoutMs,
      verifyError,
    }),
  };
}

/** Returns what `verify` rejected with, or undefined. @throws the signal's reason */
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
