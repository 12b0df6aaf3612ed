import { callback, parseOptions } from '@holdfast/foundation';
import { type ChaosStrategy, type Rate, rateRule } from './strategy.ts';

export interface ChaosOutcomeOptions<T> {
  rate: Rate;
  /** Makes the answer. */
  outcome: () => T | PromiseLike<T>;
}

/**
 * Answers in place of the call: a stale page, an empty list, a 503.
 * @throws InvalidOptionError
 */
export function chaosOutcome<T>(options: ChaosOutcomeOptions<T>): ChaosStrategy<T> {
  const shape = { rate: rateRule, outcome: callback<() => T | PromiseLike<T>>() };
  const { rate, outcome } = parseOptions('chaosOutcome', shape, options);
  return {
    kind: 'outcome',
    rate,
    strike: async () => outcome(),
  };
}
