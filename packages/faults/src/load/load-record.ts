import { type Distribution, type Histogram, createHistogram } from '@holdfast/foundation';
import { type ErrorKind, classifyError } from '@holdfast/resilience';
import type { ResolvedLoad, RateStage } from './load-options.ts';

/** What became of the arrivals of some time. */
export interface LoadCounts {
  /** Arrivals, sent or not. */
  readonly offered: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Arrivals that were never sent: beyond `maxInFlight`, or still due when the load was over. */
  readonly dropped: number;
  /** Requests without a response within `drainTimeoutMs` of the end. */
  readonly unfinished: number;
}

/** The measurements of one window of a load. */
export interface LoadWindow {
  readonly atMs: number;
  /** Arrivals in this window. */
  readonly offered: number;
  /** Responses in this window, whenever their requests arrived. */
  readonly succeeded: number;
  readonly failed: number;
  /** Arrivals in this window that were never sent. */
  readonly dropped: number;
  /** Arrivals in this window that had no response. */
  readonly unfinished: number;
  /** Of every arrival in this window; one without a response counts as its wait. */
  readonly latency: Distribution;
}

/** What became of the requests that arrived in one stage. */
export interface LoadStep extends LoadCounts {
  readonly atMs: number;
  readonly durationMs: number;
  /** The rates at its start and end; in the closed model `undefined`. */
  readonly startRatePerSecond: number | undefined;
  readonly ratePerSecond: number | undefined;
  /** Requests that arrived in it and succeeded, divided by its duration. */
  readonly succeededPerSecond: number;
  /** The share of its arrivals that did not succeed, 0 to 1. */
  readonly errorRate: number;
  readonly latency: Distribution;
}

type ArrivalOutcome = 'succeeded' | 'failed' | 'dropped' | 'unfinished';

/** An arrival: when it was to be sent, and when it was. Times are the clock's. */
export interface Arrival {
  readonly intendedMs: number;
  readonly sentMs: number;
}

/** Counts and latencies of the arrivals of some time. */
class Tally {
  readonly counts: Record<keyof LoadCounts, number> = {
    offered: 0,
    succeeded: 0,
    failed: 0,
    dropped: 0,
    unfinished: 0,
  };
  readonly latency: Histogram = createHistogram();

  add(outcome: ArrivalOutcome, latencyMs: number): void {
    this.counts.offered += 1;
    this.counts[outcome] += 1;
    this.latency.record(latencyMs);
  }
}

interface Window {
  readonly arrived: Tally;
  readonly answered: { succeeded: number; failed: number };
}

/** Everything that is measured during a load. */
export class LoadRecord {
  readonly total: Tally = new Tally();
  /** How late requests of the open model were sent after they were to be. */
  readonly sendDelay: Histogram = createHistogram();
  readonly errors: Partial<Record<ErrorKind, number>> = {};
  /** Successes before the end, without those of the drain. */
  succeededInTime = 0;
  /** Arrivals that were still due when the load was over, of those that were dropped. */
  unsent = 0;
  peakInFlight = 0;
  readonly #options: ResolvedLoad;
  readonly #beganMs: number;
  readonly #serviceTime: Histogram = createHistogram();
  readonly #windows: Window[] = [];
  readonly #steps: readonly (readonly [RateStage, Tally])[];
  #step = 0;

  constructor(options: ResolvedLoad, beganMs: number) {
    this.#options = options;
    this.#beganMs = beganMs;
    const isOne = options.stages.length === 1;
    this.#steps = options.stages.map((stage) => [stage, isOne ? this.total : new Tally()]);
  }

  sent({ intendedMs, sentMs }: Arrival, inFlight: number): void {
    if (this.#options.isOpen) this.sendDelay.record(Math.max(0, sentMs - intendedMs));
    if (inFlight > this.peakInFlight) this.peakInFlight = inFlight;
  }

  answered(arrival: Arrival, atMs: number, failure: { readonly error: unknown } | undefined): void {
    const outcome = failure === undefined ? 'succeeded' : 'failed';
    this.#add(arrival.intendedMs, outcome, atMs);
    this.#served(arrival, atMs);
    this.#windowAt(atMs).answered[outcome] += 1;
    if (failure === undefined) {
      if (atMs <= this.#beganMs + this.#options.durationMs) this.succeededInTime += 1;
      return;
    }
    const kind = kindOf(failure.error);
    this.errors[kind] = (this.errors[kind] ?? 0) + 1;
  }

  /** Counts a request that has no response as its wait until now, which is the least it would have taken. */
  unanswered(arrival: Arrival, nowMs: number): void {
    this.#add(arrival.intendedMs, 'unfinished', nowMs);
    this.#served(arrival, nowMs);
  }

  /** Counts an arrival that was never sent as its wait until the end. */
  dropped(intendedMs: number, nowMs: number): void {
    this.#add(intendedMs, 'dropped', Math.max(nowMs, this.#beganMs + this.#options.durationMs));
  }

  /** In the closed model it is the latency. */
  readServiceTime(): Distribution {
    return (this.#options.isOpen ? this.#serviceTime : this.total.latency).read();
  }

  timeline(): LoadWindow[] {
    const { windowMs } = this.#options;
    return Array.from(this.#windows, (window, index): LoadWindow => {
      const { arrived, answered } = window ?? emptyWindow();
      const { offered, dropped, unfinished } = arrived.counts;
      const latency = arrived.latency.read();
      return { atMs: index * windowMs, offered, ...answered, dropped, unfinished, latency };
    });
  }

  ramp(): LoadStep[] {
    return this.#steps.map(([stage, { counts, latency }]) => ({
      atMs: stage.startMs,
      durationMs: stage.durationMs,
      startRatePerSecond: stage.startRate,
      ratePerSecond: stage.endRate,
      ...counts,
      succeededPerSecond: (counts.succeeded / stage.durationMs) * 1_000,
      errorRate: errorRateOf(counts),
      latency: latency.read(),
    }));
  }

  #add(intendedMs: number, outcome: ArrivalOutcome, nowMs: number): void {
    const latencyMs = Math.max(0, nowMs - intendedMs);
    this.total.add(outcome, latencyMs);
    this.#windowAt(intendedMs).arrived.add(outcome, latencyMs);
    if (this.#steps.length > 1) {
      this.#stepAt(intendedMs - this.#beganMs).add(outcome, latencyMs);
    }
  }

  #served({ sentMs }: Arrival, nowMs: number): void {
    if (this.#options.isOpen) this.#serviceTime.record(Math.max(0, nowMs - sentMs));
  }

  #windowAt(timeMs: number): Window {
    const index = Math.floor(Math.max(0, timeMs - this.#beganMs) / this.#options.windowMs);
    return (this.#windows[index] ??= emptyWindow());
  }

  /** Outcomes come nearly in order, so the search begins at the last step found. */
  #stepAt(offsetMs: number): Tally {
    const startOf = (index: number): number => this.#steps[index]?.[0].startMs ?? Infinity;
    while (this.#step > 0 && offsetMs < startOf(this.#step)) this.#step -= 1;
    while (offsetMs >= startOf(this.#step + 1)) this.#step += 1;
    const found = this.#steps[this.#step];
    if (found === undefined) throw new RangeError('a load has a stage');
    return found[1];
  }
}

/** The share of arrivals that did not succeed; 0 without arrivals. */
export function errorRateOf({ offered, succeeded }: LoadCounts): number {
  return offered === 0 ? 0 : (offered - succeeded) / offered;
}

function emptyWindow(): Window {
  return { arrived: new Tally(), answered: { succeeded: 0, failed: 0 } };
}

/** The kind of an error, also of one whose properties throw. */
function kindOf(error: unknown): ErrorKind {
  try {
    return classifyError(error);
  } catch {
    return 'unknown';
  }
}
