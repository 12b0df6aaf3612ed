import type { Random } from '@holdfast/foundation';
import type { RateStage } from './load-options.ts';

/**
 * Returns the times of arrivals, in milliseconds from the start, one after the other and `Infinity` after the last. The
 * expected number of arrivals until a time is the area under the rates until then; even arrivals are where it is a
 * whole number, and those of a Poisson process where it grows by exponentially distributed steps.
 */
export function arrivalTimes(
  stages: readonly RateStage[],
  arrivals: 'even' | 'poisson',
  random: Random,
): () => number {
  let at = 0;
  /** The area before the current stage, and the one at which the next request arrives. */
  let before = 0;
  let next = arrivals === 'even' ? 0 : -Math.log(1 - random());
  return () => {
    for (let stage = stages[at]; stage !== undefined; stage = stages[(at += 1)]) {
      const area = areaOf(stage);
      if (next < before + area) {
        const timeMs = stage.startMs + timeInStage(stage, next - before);
        next += arrivals === 'even' ? 1 : -Math.log(1 - random());
        return timeMs;
      }
      before += area;
    }
    return Number.POSITIVE_INFINITY;
  };
}

/** The expected number of arrivals in a stage. */
function areaOf({ startRate = 0, endRate = 0, durationMs }: RateStage): number {
  return (((startRate + endRate) / 2) * durationMs) / 1_000;
}

/** When the area under a rate that changes linearly reaches `area`; the root without cancellation, also from rate 0. */
function timeInStage({ startRate = 0, endRate = 0, durationMs }: RateStage, area: number): number {
  if (area === 0) return 0;
  const growth = (endRate - startRate) / (durationMs / 1_000);
  const root = Math.sqrt(Math.max(0, startRate * startRate + 2 * growth * area));
  return ((2 * area) / (startRate + root)) * 1_000;
}
