/** The runs before the newest ones that make the band, and the fewest that do. */
export const BASELINE_RUNS = 20;
const FEWEST_RUNS = 5;
/** The median of this many newest runs has to leave the band, not one run alone. */
const RECENT_RUNS = 3;

/**
 * Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993), also in the NIST e-Handbook of Statistical
 * Methods, 1.3.5.17: a value is an outlier when 0.6745 × (value − median) / MAD is above 3.5, where MAD is the
 * median of the absolute deviations from the median.
 */
const OUTLIER_SCORE = 3.5;
const SCORE_PER_MAD = 0.6745;
/** The standard deviation of the median of three normal values, as a share of that of one value. */
const DEVIATION_OF_THREE = 0.67;
/** No change below a tenth of the median, or below what timers and polls resolve, is worth an alarm. */
const LEAST_SHARE = 0.1;
const LEAST_MS = 50;

interface Band {
  readonly medianMs: number;
  /** Above it one value is outside. */
  readonly highMs: number;
  /** Above it the median of three values is outside. */
  readonly lastingMs: number;
  /** The number of values behind it. */
  readonly runs: number;
}

export interface Judgment {
  /**
   * `regressed`: the median of the newest three runs and the newest are above `lastingMs`. `suspect`: the newest
   * alone is above `highMs`. `unknown`: fewer than eight runs.
   */
  readonly verdict: 'regressed' | 'suspect' | 'within' | 'unknown';
  readonly band?: Band;
}

/** The band of noise around earlier values. It is one-sided: to become faster is no regression. */
export function bandOf(values: readonly number[]): Band {
  const medianMs = median(values);
  const mad = median(values.map((value) => Math.abs(value - medianMs)));
  const noiseMs = (OUTLIER_SCORE / SCORE_PER_MAD) * mad;
  const above = (spanMs: number): number =>
    medianMs + Math.max(spanMs, LEAST_SHARE * medianMs, LEAST_MS);
  return {
    medianMs,
    highMs: above(noiseMs),
    lastingMs: above(DEVIATION_OF_THREE * noiseMs),
    runs: values.length,
  };
}

/** Judges the newest value of a series by the band of the runs before. @param values oldest first */
export function judge(values: readonly number[]): Judgment {
  const baseline = values.slice(0, -RECENT_RUNS).slice(-BASELINE_RUNS);
  const newest = values.at(-1);
  if (newest === undefined || baseline.length < FEWEST_RUNS) return { verdict: 'unknown' };
  const band = bandOf(baseline);
  const lasting = Math.min(newest, median(values.slice(-RECENT_RUNS)));
  if (lasting > band.lastingMs) return { verdict: 'regressed', band };
  return { verdict: newest > band.highMs ? 'suspect' : 'within', band };
}

/** Not defined for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
