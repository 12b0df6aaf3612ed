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
import { ExperimentInterruptedError } from '../errors.ts';
import { measureBaseline } from './baseline.ts';
import { Detection } from './detection.ts';
import { undoBeforeProcessEnds } from './process-end.ts';
import { awaitRecovery } from './recovery.ts';
import { type ExperimentResult, resultOf } from './result.ts';
import { type PhaseStats, createSampleCounter } from './samples.ts';
import { type InjectFault, ReversibleFault } from './undo.ts';
import { verified } from './verified.ts';
import { Watch } from './watch.ts';

type Probe = (signal: AbortSignal) => unknown;

/** What the service is like without a fault: its probes and the limits that they keep. */
export interface SteadyState {
  /** The probes by the name of their endpoint; a probe that rejects is bad. */
  probes: Readonly<Record<string, Probe>>;
  /** The interval of each probe. Default 10. */
  intervalMs?: number;
  /** A probe that takes longer fails. Default 1 000. */
  timeoutMs?: number;
  /** A probe that takes longer is bad although it succeeded. Default: `timeoutMs`. */
  maxLatencyMs?: number;
  /**
   * The share of bad probes that each endpoint has without a fault. Default 0: then one bad probe is an outage. With a
   * share, an outage is what is worse than chance, with a confidence of 99.9 %.
   */
  maxBadShare?: number;
}

/** Options of `experiment`. All times in milliseconds. */
export interface ExperimentOptions {
  /** Named in the result and in errors. */
  name: string;
  /** The probes, and what counts as an outage. */
  steadyState: SteadyState;
  /**
   * Injects the fault and returns a function that undoes it, which is called in any case. With several steps, each can
   * be deferred: `undo.defer(() => ...)` also counts when a later step rejects.
   */
  fault: InjectFault;
  /** How long `fault` may take. Default 60 000. */
  faultTimeoutMs?: number;
  /** How long undoing may take, all undo functions together. Default 30 000. */
  undoTimeoutMs?: number;
  /** How long the steady state is measured first, at least 20 probes of each endpoint. Default 1 000. */
  baselineMs?: number;
  /** How long the fault lasts. */
  durationMs: number;
  /** Called after every probe that the fault can have changed; `true`, also of a promise, undoes the fault at once. */
  abortIf?: (impact: PhaseStats) => boolean | PromiseLike<boolean>;
  /** How long the recovery may take; `stableMs` comes after it. Default 30 000. */
  recoveryTimeoutMs?: number;
  /** How many good probes, net of bad ones, end an outage. Default 5. */
  stableProbes?: number;
  /**
   * How long every endpoint has to stay in its steady state to count as back. Default 1 000; twice the longest time
   * between two outages of an endpoint where that is longer, up to a third of `recoveryTimeoutMs`.
   */
  stableMs?: number;
  /** Checks afterwards, for example, that nothing was lost or duplicated; rejects when it was. */
  verify?: (signal: AbortSignal) => unknown;
  /** How long `verify` may take before it counts as failed. Default 300 000. */
  verifyTimeoutMs?: number;
  /** Aborts the experiment: the fault is undone, and the call rejects with the signal's reason. */
  signal?: AbortSignal;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
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
  fault: callback<InjectFault>(),
  faultTimeoutMs: integer({ ...ms, default: 60_000 }),
  undoTimeoutMs: integer({ ...ms, default: 30_000 }),
  baselineMs: integer({ ...ms, default: 1_000 }),
  durationMs: integer(ms),
  abortIf: optional(callback<NonNullable<ExperimentOptions['abortIf']>>()),
  recoveryTimeoutMs: integer({ ...ms, default: 30_000 }),
  stableProbes: integer({ min: 1, max: 1_000, default: 5 }),
  stableMs: integer({ ...ms, default: 1_000 }),
  verify: callback<(signal: AbortSignal) => unknown>(() => {}),
  verifyTimeoutMs: integer({ ...ms, default: 300_000 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

type ResolvedExperiment = ResolvedOptions<typeof shape> & { readonly maxLatencyMs: number };

/**
 * Probes the steady state, injects a fault, measures its effect, undoes it, measures the recovery, and verifies. The
 * fault is undone in any case, also before this process ends by a signal or an uncaught error.
 * @throws InvalidOptionError; SteadyStateError without a steady state, and then no fault is injected; the error of the
 * fault; ExperimentInterruptedError when the process was about to end; the signal's reason.
 */
export async function experiment(given: ExperimentOptions): Promise<ExperimentResult> {
  const read = parseOptions('experiment', shape, given);
  const { steadyState, clock, signal } = read;
  const maxLatencyMs = steadyState.maxLatencyMs ?? steadyState.timeoutMs;
  const ending = new AbortController();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort, { once: true });
  const watch = new Watch({ ...steadyState, maxLatencyMs, clock, signal: ending.signal });
  try {
    return await runPhases({ ...read, maxLatencyMs }, watch, ending);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    ending.abort(signal?.reason ?? new DOMException('the experiment is over', 'AbortError'));
    await watch.stop();
  }
}

async function runPhases(
  options: ResolvedExperiment,
  watch: Watch,
  ending: AbortController,
): Promise<ExperimentResult> {
  const { steadyState, clock, maxLatencyMs } = options;
  const endpoints = Object.keys(steadyState.probes);
  const baseline = await measureBaseline(watch, { ...options, ...steadyState, endpoints });
  const detection = new Detection(watch, baseline, { ...options, ...steadyState, maxLatencyMs });
  const injectedMs = clock.now();
  const impact = await injectFault(options, watch, ending, baseline.probes);
  const undoneMs = clock.now();
  const isBack = await awaitRecovery(watch, detection, undoneMs, { ...steadyState, ...options });
  const samples = watch.known().filter(({ index }) => !baseline.probes.has(index));
  await watch.stop();
  const limits = { name: 'verify', timeoutMs: options.verifyTimeoutMs, clock };
  const verifyError = await verified(options.verify, limits, ending.signal);
  const outcome = { ...impact, injectedMs, undoneMs, isBack, verifyError };
  const { intervalMs } = steadyState;
  return resultOf({ ...options, ...outcome, baseline, detection, samples, intervalMs });
}

/** What is known when the fault was undone. */
interface Undone {
  readonly isAborted: boolean;
  /** When the undoing began. */
  readonly undoingMs: number;
  readonly undoError: unknown;
}

/** Injects the fault for its duration and undoes it. @throws the error of `fault` or `abortIf`, the signal's reason */
async function injectFault(
  options: ResolvedExperiment,
  watch: Watch,
  ending: AbortController,
  before: ReadonlySet<number>,
): Promise<Undone> {
  const { name, fault, clock } = options;
  const injected = new ReversibleFault(options);
  let endedBy: string | undefined;
  const release = undoBeforeProcessEnds({
    undo: async (reason) => {
      if (!ending.signal.aborted) endedBy = reason;
      ending.abort(new DOMException(`the process is ended by ${reason}`, 'AbortError'));
      warn(await injected.undo());
    },
    undoNow: () => injected.undoNow(),
  });
  let measured: { readonly isAborted: boolean } | undefined;
  let failure: { readonly error: unknown } | undefined;
  try {
    await injected.inject(fault, ending.signal);
    const isAborted = await impactOf(options, watch, before);
    measured = { isAborted };
  } catch (error) {
    failure = { error };
  }
  const undoingMs = clock.now();
  const undoError = await injected.undo();
  release();
  // Only now is it known whether the fault was undone.
  if (endedBy !== undefined && (failure === undefined || failure.error === ending.signal.reason)) {
    throw new ExperimentInterruptedError(name, endedBy, undoError);
  }
  // The result tells `undoError`; without a result a warning does.
  if (measured !== undefined) return { ...measured, undoingMs, undoError };
  warn(undoError);
  throw failure?.error;
}

/** Measures the effect of the fault for its duration; returns whether `abortIf` ended it. @throws the error of `abortIf` */
async function impactOf(
  { durationMs, abortIf }: ResolvedExperiment,
  watch: Watch,
  before: ReadonlySet<number>,
): Promise<boolean> {
  const impact = createSampleCounter();
  const early = watch.known().filter(({ index }) => !before.has(index));
  for (const sample of early) impact.record(sample);
  const counted = new Set(early.map(({ index }) => index));
  return watch.until(durationMs, (sample) => {
    if (abortIf === undefined || before.has(sample.index) || counted.has(sample.index))
      return false;
    impact.record(sample);
    return abortIf(impact.read());
  });
}

function warn(undoError: unknown): void {
  if (undoError instanceof Error) process.emitWarning(undoError);
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
