import { type OptionRule, integer } from '@holdfast/foundation';
import { timeOfSet } from './manifest.ts';

/** Which sets are kept: each rule keeps its own, and what no rule keeps is removed. */
export interface RetentionOptions {
  /** The newest sets. Default 7. */
  last?: number;
  /** The newest set of each of the newest days with a set. Default 14. */
  daily?: number;
  /** The newest set of each of the newest months with a set. Default 12. */
  monthly?: number;
}

const MAX_KEPT = 10_000;

/** The newest set is always kept: `last` is at least 1. */
export const retentionSchema: Readonly<Record<keyof RetentionOptions, OptionRule<number>>> = {
  last: integer({ min: 1, max: MAX_KEPT, default: 7 }),
  daily: integer({ min: 0, max: MAX_KEPT, default: 14 }),
  monthly: integer({ min: 0, max: MAX_KEPT, default: 12 }),
};

const DAY_LENGTH = 10;
const MONTH_LENGTH = 7;

/** The sets that no rule keeps, the oldest first. */
export function expiredSets(
  setIds: readonly string[],
  { last, daily, monthly }: Required<RetentionOptions>,
): string[] {
  const newestFirst = setIds.toSorted().toReversed();
  const kept = new Set(newestFirst.slice(0, last));
  const keepPeriods = (count: number, length: number): void => {
    const periods = new Set<string>();
    for (const setId of newestFirst) {
      const period = new Date(timeOfSet(setId)).toISOString().slice(0, length);
      if (periods.has(period)) continue;
      if (periods.size === count) return;
      periods.add(period);
      kept.add(setId);
    }
  };
  keepPeriods(daily, DAY_LENGTH);
  keepPeriods(monthly, MONTH_LENGTH);
  return newestFirst.filter((setId) => !kept.has(setId)).toReversed();
}
