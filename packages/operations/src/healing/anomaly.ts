import { integer, number, oneOf, parseOptions, InvalidOptionError } from '@holdfast/foundation';

/** Options of `createAnomalyDetector`. */
export interface AnomalyOptions {
  /** How many past values are the usual. Default 60. */
  window?: number;
  /** How many robust deviations off is unusual. Default 3. */
  threshold?: number;
  /** Which side is bad. Default `'above'`. */
  side?: 'above' | 'below' | 'both';
  /** How many of the last `of` values must be unusual. Default 4. */
  hits?: number;
  /** Default 6. */
  of?: number;
  /** The least spread that counts, as a share of the median: a constant series has none of its own. Default 0.05. */
  minSpread?: number;
}

/** What the detector says of a value. */
export interface AnomalyReading {
  /** How many robust deviations the value is from the usual; 0 while there is too little to compare with. */
  readonly score: number;
  /** Whether enough of the last values were unusual. */
  readonly isAnomalous: boolean;
}

/** Tells whether a series of positive values, such as latencies, is out of its usual. */
export interface AnomalyDetector {
  /** Takes the next value; negative and non-finite ones are refused. @throws InvalidOptionError */
  observe(value: number): AnomalyReading;
}

const schema = {
  window: integer({ min: 8, max: 100_000, default: 60 }),
  threshold: number({ min: 0.1, max: 1_000, default: 3 }),
  side: oneOf(['above', 'below', 'both'], 'above'),
  hits: integer({ min: 1, max: 1_000, default: 4 }),
  of: integer({ min: 1, max: 1_000, default: 6 }),
  minSpread: number({ min: 0.001, max: 10, default: 0.05 }),
};

/** The least number of values that make a usual. */
const MIN_VALUES = 8;
/** Turns a median of absolute deviations into a standard deviation, for normally distributed values. */
const MAD_TO_SIGMA = 1.4826;

/**
 * Compares the logarithm of each value with the median of the window, in units of its median absolute deviation, and
 * wants several unusual ones: a mean and its deviation are moved by the very values that they are to find.
 * Source: B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers", 1993 (the modified z-score).
 * @throws InvalidOptionError
 */
export function createAnomalyDetector(options?: AnomalyOptions): AnomalyDetector {
  const resolved = parseOptions('createAnomalyDetector', schema, options);
  const { window, threshold, side, hits, of, minSpread } = resolved;
  if (hits > of)
    throw new InvalidOptionError('createAnomalyDetector', 'hits', hits, `at most of (${of})`);
  const usual: number[] = [];
  const verdicts: boolean[] = [];
  return {
    observe(value) {
      if (!Number.isFinite(value) || value < 0) {
        throw new InvalidOptionError('observe', 'value', value, 'a number that is not negative');
      }
      const log = Math.log1p(value);
      const score =
        usual.length < Math.min(MIN_VALUES, window) ? 0 : robustScore(usual, log, minSpread);
      const distance = side === 'both' ? Math.abs(score) : side === 'above' ? score : -score;
      const isUnusual = distance > threshold;
      verdicts.push(isUnusual);
      if (verdicts.length > of) verdicts.shift();
      // An unusual value counts as usual once it lasts: the window holds it like any other.
      usual.push(log);
      if (usual.length > window) usual.shift();
      return { score, isAnomalous: verdicts.filter(Boolean).length >= hits };
    },
  };
}

function robustScore(usual: readonly number[], log: number, minSpread: number): number {
  const center = median(usual);
  const deviation = median(usual.map((each) => Math.abs(each - center))) * MAD_TO_SIGMA;
  return (log - center) / Math.max(deviation, Math.log1p(minSpread));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
