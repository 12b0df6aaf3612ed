import { HoldfastError, integer, parseOptions, sleep } from '@holdfast/foundation';
import { type ChaosStrategy, type Rate, rateRule } from './strategy.ts';

export interface ChaosStallOptions {
  rate: Rate;
  /** When a stalled call fails although nobody aborted it, in milliseconds. Default 300 000. */
  maxStallMs?: number;
}

/** A call stalled on purpose, and nobody aborted it in `maxStallMs`. */
export class ChaosStallError extends HoldfastError {
  readonly code = 'CHAOS_STALL';

  constructor(maxStallMs: number) {
    super(
      `chaos: this call was stalled on purpose for ${maxStallMs} ms and nobody aborted it; it was not started`,
      { retryable: true, outcome: 'not-applied' },
    );
  }
}

const shape = {
  rate: rateRule,
  maxStallMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 300_000 }),
};

/**
 * Never answers, like a peer that accepted the connection and went silent: what only a timeout ends. An
 * abort ends it with the signal's own reason.
 * @throws InvalidOptionError
 */
export function chaosStall(options: ChaosStallOptions): ChaosStrategy {
  const { rate, maxStallMs } = parseOptions('chaosStall', shape, options);
  return {
    kind: 'stall',
    rate,
    async strike(_proceed, { clock, signal }) {
      await sleep(clock, maxStallMs, signal);
      throw new ChaosStallError(maxStallMs);
    },
  };
}
