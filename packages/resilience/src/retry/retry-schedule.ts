import {
  type Backoff,
  type Random,
  delayBounds,
  describeThrown,
  describeValue,
  exponentialBackoff,
} from '@holdfast/foundation';
import { type WarnOnce, ignoreRejection } from '../decision.ts';
import { isDelay, permittedDelays } from './check-schedule.ts';
import type { ResolvedRetryOptions } from './retry-options.ts';

/** The custom schedule of a policy, or its exponential one. */
export function backoffOf(options: ResolvedRetryOptions): Backoff {
  const { name, backoff, backoffMultiplier, jitterFactor } = options;
  return (
    backoff ??
    exponentialBackoff({
      ...delayBounds(name, options),
      backoffMultiplier: backoffMultiplier ?? 2,
      jitterFactor,
    })
  );
}

/** The delays of one call. When the user's schedule fails, the default schedule takes its place. */
export class RetrySchedule {
  readonly #backoff: Backoff;
  readonly #random: Random;
  readonly #warn: WarnOnce;
  #delays: Iterator<number, unknown> | undefined;

  constructor(backoff: Backoff, random: Random, warn: WarnOnce) {
    this.#backoff = backoff;
    this.#random = random;
    this.#warn = warn;
  }

  nextMs(): number {
    try {
      this.#delays ??= this.#backoff.delays(this.#random);
      ignoreRejection(this.#delays);
      const step = this.#delays.next();
      ignoreRejection(step);
      const { done, value } = step;
      if (done !== true && isDelay(value)) return value;
      this.#warn(`must yield ${permittedDelays}, but yielded ${describeValue(value)}`);
    } catch (error) {
      this.#warn(`threw: ${describeThrown(error)}`);
    }
    this.#delays = exponentialBackoff().delays(this.#random);
    return Number(this.#delays.next().value);
  }
}
