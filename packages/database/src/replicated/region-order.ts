import type { Clock } from '@holdfast/foundation';

export interface RegionStats {
  readonly region: string;
  /** Smoothed time to an answer, in milliseconds; `undefined` before the first one. */
  readonly latencyMs: number | undefined;
  /** Whether it has failed lately, and is asked last. */
  readonly suspect: boolean;
}

interface Standing {
  latencyMs: number | undefined;
  suspectUntilMs: number;
}

/** The weight of the newest measurement. */
const ALPHA = 0.2;
/** A region overtakes a nearer one only when it is clearly faster, so that noise moves nothing. */
const OVERTAKES_AT = 0.8;

/** The regions from the nearest to the farthest by what their answers took; those that failed lately last. */
export class RegionOrder {
  readonly #clock: Clock;
  readonly #suspectMs: number;
  readonly #ranked: string[];
  readonly #standings: Map<string, Standing>;

  constructor(regions: readonly string[], suspectMs: number, clock: Clock) {
    this.#clock = clock;
    this.#suspectMs = suspectMs;
    this.#ranked = [...regions];
    this.#standings = new Map(
      regions.map((region) => [region, { latencyMs: undefined, suspectUntilMs: -Infinity }]),
    );
  }

  answered(region: string, tookMs: number): void {
    const standing = this.#standings.get(region);
    if (standing === undefined) return;
    const before = standing.latencyMs ?? tookMs;
    standing.latencyMs = before + ALPHA * (tookMs - before);
    standing.suspectUntilMs = -Infinity;
    this.#rank();
  }

  /** Its answer was not waited for any longer: it is at least that far. */
  outlasted(region: string, waitedMs: number): void {
    const standing = this.#standings.get(region);
    if (standing === undefined || waitedMs <= (standing.latencyMs ?? 0)) return;
    const before = standing.latencyMs ?? waitedMs;
    standing.latencyMs = before + ALPHA * (waitedMs - before);
    this.#rank();
  }

  failed(region: string): void {
    const standing = this.#standings.get(region);
    if (standing !== undefined) standing.suspectUntilMs = this.#clock.now() + this.#suspectMs;
  }

  nearestFirst(): string[] {
    return [
      ...this.#ranked.filter((region) => !this.#isSuspect(region)),
      ...this.#ranked.filter((region) => this.#isSuspect(region)),
    ];
  }

  standings(): RegionStats[] {
    return this.nearestFirst().map((region) => ({
      region,
      latencyMs: this.#standings.get(region)?.latencyMs,
      suspect: this.#isSuspect(region),
    }));
  }

  #isSuspect(region: string): boolean {
    return (this.#standings.get(region)?.suspectUntilMs ?? 0) > this.#clock.now();
  }

  #rank(): void {
    for (let at = 1; at < this.#ranked.length; at += 1) {
      const [nearer = '', farther = ''] = this.#ranked.slice(at - 1, at + 1);
      const nearerMs = this.#standings.get(nearer)?.latencyMs;
      const fartherMs = this.#standings.get(farther)?.latencyMs;
      // One that was never measured keeps its place until it is.
      if (nearerMs === undefined || fartherMs === undefined) continue;
      if (fartherMs < nearerMs * OVERTAKES_AT) this.#ranked.splice(at - 1, 2, farther, nearer);
    }
  }
}
