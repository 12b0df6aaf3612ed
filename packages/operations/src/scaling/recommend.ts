import {
  integer,
  InvalidOptionError,
  number,
  type OptionRule,
  parseOptions,
} from '@holdfast/foundation';
import type { ScalingMetric, ScalingRecommendation } from './scaling.ts';

/** Options of `createScalingRecommender`. All times in milliseconds. */
export interface ScalingOptions {
  /** Default 1. */
  min?: number;
  max: number;
  /** How far off its target a metric may be without a change, as a share. Default 0.1. */
  tolerance?: number;
  /** Down only to the highest recommendation of this time. Default 5 minutes. */
  stabilizeDownMs?: number;
  /** Up only to the lowest recommendation of this time. Default 0: at once. */
  stabilizeUpMs?: number;
  /** The most that one step multiplies the replicas by. Default 2. */
  maxUpFactor?: number;
  /** The most replicas that one step takes away, as a share. Default 0.5. */
  maxDownShare?: number;
}

const DAY_MS = 86_400_000;
const MAX_REPLICAS = 100_000;

/** The rules of the recommender's own options, for whoever takes them beside others. */
export const scalingSchema: {
  readonly [Key in keyof Required<ScalingOptions>]: OptionRule<number>;
} = {
  min: integer({ min: 1, max: MAX_REPLICAS, default: 1 }),
  max: integer({ min: 1, max: MAX_REPLICAS }),
  tolerance: number({ min: 0, max: 1, default: 0.1 }),
  stabilizeDownMs: integer({ min: 0, max: DAY_MS, default: 300_000 }),
  stabilizeUpMs: integer({ min: 0, max: DAY_MS, default: 0 }),
  maxUpFactor: number({ min: 1.01, max: 1_000, default: 2 }),
  maxDownShare: number({ min: 0.001, max: 1, default: 0.5 }),
};

/** Recommends a number of replicas, and remembers what it wanted before. */
export interface ScalingRecommender {
  /** @param nowMs a monotonic time */
  recommend(
    current: number,
    metrics: readonly ScalingMetric[],
    nowMs: number,
  ): ScalingRecommendation;
}

interface Wish {
  readonly atMs: number;
  readonly replicas: number;
}

/**
 * The rule of Kubernetes' HorizontalPodAutoscaler: replicas x current / target, the largest over all metrics, with a
 * tolerance and windows. What differs: while any metric is missing, nothing is taken away.
 * @throws InvalidOptionError
 */
export function createScalingRecommender(options: ScalingOptions): ScalingRecommender {
  const resolved = parseOptions('createScalingRecommender', scalingSchema, options);
  const { min, max, tolerance, stabilizeDownMs, stabilizeUpMs } = resolved;
  if (min > max)
    throw new InvalidOptionError('createScalingRecommender', 'min', min, `at most max (${max})`);
  let wishes: Wish[] = [];
  const within = (ms: number, nowMs: number): number[] =>
    wishes.filter(({ atMs }) => atMs >= nowMs - ms).map(({ replicas }) => replicas);
  return {
    recommend(current, metrics, nowMs) {
      if (!Number.isSafeInteger(current) || current < 0) {
        throw new InvalidOptionError('recommend', 'current', current, 'a whole number from 0');
      }
      const wanted = wish(current, metrics, tolerance);
      const isMissing =
        metrics.some((metric) => metric.current === undefined) || metrics.length === 0;
      const floor = isMissing ? Math.max(current, wanted.replicas) : wanted.replicas;
      const bounded = Math.min(max, Math.max(min, floor));
      const longestMs = Math.max(stabilizeDownMs, stabilizeUpMs);
      wishes = [
        ...wishes.filter(({ atMs }) => atMs > nowMs - longestMs),
        { atMs: nowMs, replicas: bounded },
      ];
      const named = wanted.metric === undefined ? {} : { metric: wanted.metric };
      if (bounded > current) {
        const steady = Math.min(...within(stabilizeUpMs, nowMs));
        // From nothing a factor leads nowhere.
        const most = Math.max(min, Math.ceil(current * resolved.maxUpFactor));
        const replicas = Math.min(most, Math.max(steady, current), max);
        return { replicas, reason: replicas > current ? 'up' : 'stabilizing', ...named };
      }
      if (bounded < current) {
        // Over the maximum nothing has to settle first.
        const steady = current > max ? max : Math.max(...within(stabilizeDownMs, nowMs));
        const least = current > max ? max : Math.ceil(current * (1 - resolved.maxDownShare));
        const replicas = Math.max(least, Math.min(steady, current), min);
        return { replicas, reason: replicas < current ? 'down' : 'stabilizing', ...named };
      }
      return {
        replicas: current,
        reason: reasonToStay(isMissing, wanted, current, min, max),
        ...named,
      };
    },
  };
}

function reasonToStay(
  isMissing: boolean,
  wanted: { readonly replicas: number; readonly isTolerated: boolean },
  current: number,
  min: number,
  max: number,
): ScalingRecommendation['reason'] {
  if (wanted.replicas > max) return 'at-maximum';
  if (isMissing && wanted.replicas <= current) return 'metric-missing';
  if (wanted.replicas < min) return 'at-minimum';
  return wanted.isTolerated ? 'within-tolerance' : 'steady';
}

/** What the known metrics ask for, the largest of them. */
function wish(
  current: number,
  metrics: readonly ScalingMetric[],
  tolerance: number,
): { readonly replicas: number; readonly isTolerated: boolean; readonly metric?: string } {
  let best: { replicas: number; isTolerated: boolean; metric?: string } | undefined;
  for (const { name, target, current: value } of metrics) {
    if (value === undefined) continue;
    for (const [field, given] of [
      ['target', target],
      ['current', value],
    ] as const) {
      const isGood = Number.isFinite(given) && (field === 'target' ? given > 0 : given >= 0);
      if (!isGood)
        throw new InvalidOptionError('recommend', `${name}.${field}`, given, 'a positive number');
    }
    const ratio = value / target;
    const isTolerated = Math.abs(ratio - 1) <= tolerance;
    const replicas = isTolerated ? current : Math.ceil(current * ratio);
    if (best === undefined || replicas > best.replicas)
      best = { replicas, isTolerated, metric: name };
  }
  return best ?? { replicas: current, isTolerated: true };
}
