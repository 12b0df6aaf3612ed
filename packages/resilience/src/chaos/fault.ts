import { callback, HoldfastError, parseOptions } from '@holdfast/foundation';
import { type ChaosStrategy, type Rate, rateRule } from './strategy.ts';

export interface ChaosFaultOptions {
  rate: Rate;
  /** Makes the error. Default: a ChaosFaultError. */
  error?: () => Error;
}

/** A failure made on purpose. */
export class ChaosFaultError extends HoldfastError {
  readonly code = 'CHAOS_FAULT';

  constructor() {
    super('chaos: this failure was made on purpose; the call was not started', {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

const shape = { rate: rateRule, error: callback<() => Error>(() => new ChaosFaultError()) };

/**
 * Fails the call without making it.
 * @throws InvalidOptionError
 */
export function chaosFault(options: ChaosFaultOptions): ChaosStrategy {
  const { rate, error } = parseOptions('chaosFault', shape, options);
  return {
    kind: 'fault',
    rate,
    async strike() {
      throw error();
    },
  };
}
