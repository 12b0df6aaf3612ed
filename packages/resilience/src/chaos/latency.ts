import { integer, InvalidOptionError, optional, parseOptions, sleep } from '@holdfast/foundation';
import { type ChaosStrategy, type Rate, rateRule } from './strategy.ts';

export interface ChaosLatencyOptions {
  rate: Rate;
  /** The shortest delay before the call is made, in milliseconds. */
  delayMs: number;
  /** The longest; each delay is drawn evenly between the two. Default: `delayMs`. */
  maxDelayMs?: number;
}

const delay = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const shape = { rate: rateRule, delayMs: delay, maxDelayMs: optional(delay) };

/**
 * Makes the call late. An abort ends the delay with the signal's own reason.
 * @throws InvalidOptionError
 */
export function chaosLatency(options: ChaosLatencyOptions): ChaosStrategy {
  const { rate, delayMs, maxDelayMs = delayMs } = parseOptions('chaosLatency', shape, options);
  if (maxDelayMs < delayMs) {
    const permitted = `at least delayMs (${delayMs})`;
    throw new InvalidOptionError('chaosLatency', 'maxDelayMs', maxDelayMs, permitted);
  }
  return {
    kind: 'latency',
    rate,
    async strike(proceed, { clock, random, signal }) {
      await sleep(clock, delayMs + random() * (maxDelayMs - delayMs), signal);
      return proceed();
    },
  };
}
