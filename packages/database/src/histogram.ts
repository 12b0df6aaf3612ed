import type { DurationCounts } from '@holdfast/foundation/metrics';

/** The bounds that OpenTelemetry's semantic conventions advise for durations, in milliseconds. */
const BOUNDS_MS: readonly number[] = [
  1, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];

/** Counts durations by upper bounds; a measurement costs a few comparisons and no memory. */
export class DurationHistogram {
  readonly #counts: number[] = Array.from({ length: BOUNDS_MS.length + 1 }, () => 0);
  #sumMs = 0;
  #count = 0;

  record(durationMs: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && durationMs > (BOUNDS_MS[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += durationMs;
    this.#count += 1;
  }

  read(): DurationCounts {
    return {
      boundsMs: BOUNDS_MS,
      counts: [...this.#counts],
      sumMs: this.#sumMs,
      count: this.#count,
    };
  }
}
