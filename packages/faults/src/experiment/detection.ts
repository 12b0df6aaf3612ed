import { type Baseline, CONFIDENCE, usualBadShare } from './baseline.ts';
import { type Outage, OutageDetector, widened } from './outage-detector.ts';
import { type OutageTimes, timesOfOutage } from './outage-times.ts';
import type { Sample } from './samples.ts';
import { binomialTail } from './significance.ts';
import type { Watch } from './watch.ts';

interface Endpoint {
  readonly detector: OutageDetector;
  readonly samples: Sample[];
  readonly badShare: number;
  readonly usualLatencyMs: number;
}

/** What a fault did to an endpoint. */
export interface EndpointOutage extends OutageTimes {
  readonly endpoint: string;
}

/** When the fault was injected, when its undoing began, and when it was undone. */
export interface Moments {
  readonly injectedMs: number;
  readonly undoingMs: number;
  readonly undoneMs: number;
}

interface DetectionOptions {
  readonly maxBadShare: number;
  readonly intervalMs: number;
  readonly maxLatencyMs: number;
  readonly stableProbes: number;
}

/** Finds the outages of every endpoint in all probes that a fault can have changed. */
export class Detection {
  readonly #watch: Watch;
  readonly #baseline: Baseline;
  readonly #endpoints: ReadonlyMap<string, Endpoint>;
  readonly #maxLatencyMs: number;
  readonly #intervalMs: number;
  /** How likely a test of one endpoint may err. */
  readonly #errorProbability: number;
  #next = 0;
  #seenUntilMs = 0;

  constructor(watch: Watch, baseline: Baseline, options: DetectionOptions) {
    const { maxBadShare, intervalMs, maxLatencyMs, stableProbes } = options;
    this.#watch = watch;
    this.#baseline = baseline;
    this.#maxLatencyMs = maxLatencyMs;
    this.#intervalMs = intervalMs;
    // Each endpoint is tested for outages and for its share as a whole.
    const errorProbability = (1 - CONFIDENCE) / 2 / baseline.endpoints.size;
    this.#errorProbability = errorProbability;
    this.#endpoints = new Map(
      [...baseline.endpoints].map(([endpoint, usual]) => {
        const badShare = usualBadShare(maxBadShare, usual);
        const detector = new OutageDetector({ badShare, errorProbability, stableProbes });
        const { usualLatencyMs } = usual;
        return [endpoint, { detector, samples: [], badShare, usualLatencyMs }];
      }),
    );
  }

  /** The start of the latest probe that was looked at. */
  get seenUntilMs(): number {
    return this.#seenUntilMs;
  }

  /** Whether no endpoint is in an outage, and the latest probe of each was good. */
  get isSteady(): boolean {
    return [...this.#endpoints.values()].every(({ detector }) => detector.isSteady);
  }

  /** Whether an endpoint is in an outage. */
  get isOut(): boolean {
    return [...this.#endpoints.values()].some(({ detector }) => detector.isOut);
  }

  /** Looks at the probes whose result is known, in order of their start. */
  advance(): void {
    while (true) {
      const sample = this.#watch.at(this.#next);
      if (sample === undefined) return;
      this.#next += 1;
      this.#seenUntilMs = sample.startedMs;
      if (this.#baseline.probes.has(sample.index)) continue;
      const endpoint = this.#endpoints.get(sample.endpoint);
      endpoint?.samples.push(sample);
      endpoint?.detector.add(sample);
    }
  }

  /** Returns when the latest bad probe of an outage was sent, or -Infinity. */
  lastBadMs(): number {
    const last = this.#outages().map(({ lastBad }) => lastBad.startedMs);
    return Math.max(Number.NEGATIVE_INFINITY, ...last);
  }

  /** Returns the longest time between two outages of one endpoint. */
  longestRespiteMs(): number {
    let longestMs = 0;
    for (const { detector } of this.#endpoints.values()) {
      for (const [index, { firstBad }] of detector.outages.entries()) {
        const before = detector.outages[index - 1]?.lastBad.startedMs ?? firstBad.startedMs;
        longestMs = Math.max(longestMs, firstBad.startedMs - before);
      }
    }
    return longestMs;
  }

  /** Returns how many outages began from `fromMs` on. */
  outagesSince(fromMs: number): number {
    return this.#outages().filter(({ firstBad }) => firstBad.startedMs >= fromMs).length;
  }

  /** Returns how many probes from `fromMs` on were looked at, of the endpoint with the fewest. */
  probesSince(fromMs: number): number {
    const counts = [...this.#endpoints.values()].map(({ samples }) => {
      const first = samples.findLastIndex(({ startedMs }) => startedMs < fromMs);
      return samples.length - 1 - first;
    });
    return Math.min(...counts);
  }

  /** Returns what the fault did to each endpoint that left its steady state. */
  effects(moments: Moments): readonly EndpointOutage[] {
    const { injectedMs, undoingMs, undoneMs } = moments;
    return [...this.#endpoints].flatMap(([name, endpoint]) => {
      const outage = wholeOutage(endpoint.detector.outages) ?? this.#worse(endpoint, undoneMs);
      if (outage === undefined) return [];
      const { samples, badShare, usualLatencyMs } = endpoint;
      const times = timesOfOutage(samples, widened(outage, samples, badShare), {
        injectedMs,
        undoingMs,
        intervalMs: this.#intervalMs,
        usualLatencyMs,
        maxLatencyMs: this.#maxLatencyMs,
        badShare,
      });
      return [{ endpoint: name, ...times }];
    });
  }

  #outages(): readonly Outage[] {
    return [...this.#endpoints.values()].flatMap(({ detector }) => detector.outages);
  }

  /** Returns the time in which an endpoint was bad more often than by chance, though never for long. */
  #worse({ samples, badShare }: Endpoint, undoneMs: number): Outage | undefined {
    const during = samples.filter(({ startedMs }) => startedMs < undoneMs);
    const bad = during.filter(({ isGood }) => !isGood);
    const probability = binomialTail(bad.length, during.length, badShare);
    const [firstBad] = bad;
    const lastBad = bad.at(-1);
    if (probability >= this.#errorProbability || firstBad === undefined || lastBad === undefined)
      return undefined;
    return { firstBad, lastBad };
  }
}

/** Returns the time from the first outage to the end of the last one. */
function wholeOutage(outages: readonly Outage[]): Outage | undefined {
  const [first] = outages;
  const last = outages.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return { firstBad: first.firstBad, lastBad: last.lastBad };
}
