/** A distribution of durations, in milliseconds. */
export interface Distribution {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** Collects durations in bounded memory; its readings are at most 1.6 % above the true values. */
export interface Histogram {
  record(durationMs: number): void;
  /** Zeros when nothing was recorded. */
  read(): Distribution;
}

/** The number of buckets for each doubling; their width bounds the error. */
const BUCKETS_PER_OCTAVE = 64;
/** A microsecond; shorter durations count as this. */
const FLOOR_MS = 0.001;
/** From 1 to 2^37 microseconds, a day and a half. */
const OCTAVES = 37;

/** Log-linear buckets, after Gil Tene's HdrHistogram. */
export function createHistogram(): Histogram {
  const buckets = new Uint32Array(OCTAVES * BUCKETS_PER_OCTAVE);
  let count = 0;
  let totalMs = 0;
  let minMs = Number.POSITIVE_INFINITY;
  let maxMs = 0;

  const quantile = (share: number): number => {
    const rank = Math.max(1, Math.ceil(share * count));
    let seen = 0;
    for (let index = 0; index < buckets.length; index += 1) {
      seen += buckets[index] ?? 0;
      if (seen >= rank) return Math.min(maxMs, upperEdgeMs(index));
    }
    return maxMs;
  };

  return {
    record(durationMs) {
      const index = bucketOf(durationMs);
      buckets[index] = (buckets[index] ?? 0) + 1;
      count += 1;
      totalMs += durationMs;
      if (durationMs < minMs) minMs = durationMs;
      if (durationMs > maxMs) maxMs = durationMs;
    },
    read() {
      if (count === 0) {
        return { count, minMs: 0, meanMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 };
      }
      return {
        count,
        minMs,
        meanMs: totalMs / count,
        p50Ms: quantile(0.5),
        p90Ms: quantile(0.9),
        p99Ms: quantile(0.99),
        p999Ms: quantile(0.999),
        maxMs,
      };
    },
  };
}

function bucketOf(durationMs: number): number {
  const ratio = Math.max(1, durationMs / FLOOR_MS);
  const octave = Math.min(OCTAVES - 1, Math.floor(Math.log2(ratio)));
  const within = Math.floor((ratio / 2 ** octave - 1) * BUCKETS_PER_OCTAVE);
  return octave * BUCKETS_PER_OCTAVE + Math.min(BUCKETS_PER_OCTAVE - 1, Math.max(0, within));
}

function upperEdgeMs(index: number): number {
  const octave = Math.floor(index / BUCKETS_PER_OCTAVE);
  const within = (index % BUCKETS_PER_OCTAVE) + 1;
  return FLOOR_MS * 2 ** octave * (1 + within / BUCKETS_PER_OCTAVE);
}
