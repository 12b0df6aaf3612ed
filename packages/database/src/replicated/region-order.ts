import type { Clock } from '@holdfast/foundation';

/** How fast and how reliable a region was of late. */
export interface RegionStats {
  readonly region: string;
  /** Smoothed response time in milliseconds; `undefined` before the first response. */
  readonly latencyMs: number | undefined;
  /** Whether it has failed recently, and is asked last. */
  readonly suspect: boolean;
}

interface RegionState {
  latencyMs: number | undefined;
  suspectUntilMs: number;
}

/** The weight of a new measurement in the average. */
const WEIGHT = 0.2;
/** A region moves ahead of a nearer one only below this fraction of its latency, so that noise has no effect. */
const HYSTERESIS = 0.8;

/** Orders regions by their response times; those that failed recently come last. */
export class RegionOrder {
  readonly #clock: Clock;
  readonly #suspectMs: number;
  readonly #ranked: string[];
  readonly #states: Map<string, RegionState>;

  constructor(regions: readonly string[], suspectMs: number, clock: Clock) {
    this.#clock = clock;
    this.#suspectMs = suspectMs;
    this.#ranked = [...regions];
    this.#states = new Map(
      regions.map((region) => [region, { latencyMs: undefined, suspectUntilMs: -Infinity }]),
    );
  }

  answered(region: string, tookMs: number): void {
    const state = this.#states.get(region);
    if (state === undefined) return;
    const average = state.latencyMs ?? tookMs;
    state.latencyMs = average + WEIGHT * (tookMs - average);
    state.suspectUntilMs = -Infinity;
    this.#rank();
  }

  /** The request was abandoned after `waitedMs`, so the region is at least that slow. */
  recordAbandoned(region: string, waitedMs: number): void {
    const state = this.#states.get(region);
    if (state === undefined || waitedMs <= (state.latencyMs ?? 0)) return;
    const average = state.latencyMs ?? waitedMs;
    state.latencyMs = average + WEIGHT * (waitedMs - average);
    this.#rank();
  }

  failed(region: string): void {
    const state = this.#states.get(region);
    if (state !== undefined) state.suspectUntilMs = this.#clock.now() + this.#suspectMs;
  }

  nearestFirst(): string[] {
    return [
      ...this.#ranked.filter((region) => !this.#isSuspect(region)),
      ...this.#ranked.filter((region) => this.#isSuspect(region)),
    ];
  }

  getStats(): RegionStats[] {
    return this.nearestFirst().map((region) => ({
      region,
      latencyMs: this.#states.get(region)?.latencyMs,
      suspect: this.#isSuspect(region),
    }));
  }

  #isSuspect(region: string): boolean {
    return (this.#states.get(region)?.suspectUntilMs ?? 0) > this.#clock.now();
  }

  #rank(): void {
    for (let at = 1; at < this.#ranked.length; at += 1) {
      const [nearer = '', farther = ''] = this.#ranked.slice(at - 1, at + 1);
      const nearerMs = this.#states.get(nearer)?.latencyMs;
      const fartherMs = this.#states.get(farther)?.latencyMs;
      // A region without a measurement keeps its position.
      if (nearerMs === undefined || fartherMs === undefined) continue;
      if (fartherMs < nearerMs * HYSTERESIS) this.#ranked.splice(at - 1, 2, farther, nearer);
    }
  }
}
