import type { Random } from '../random.ts';
import { InvalidOptionError } from '../errors/errors.ts';
import { integer, number, optional, parseOptions } from '../options.ts';

/**
 * The delays between attempts as a value: a schedule can be listed without a clock.
 */
export interface Backoff {
  /** The endless sequence of delays in milliseconds; each call starts from the first one. */
  delays(random: Random): Iterator<number, never>;
}

/** Options of `exponentialBackoff`. */
export interface ExponentialBackoffOptions {
  /** Delay before the second attempt, in milliseconds. Default 1 000, or `maxDelayMs` if less. */
  initialDelayMs?: number;
  /** The longest delay, jitter included. Default 30 000, or `initialDelayMs` if more. */
  maxDelayMs?: number;
  /** Each delay is this many times the one before. Default 2. */
  backoffMultiplier?: number;
  /** Share of the delay drawn at random around it, 0 to 1: 0.1 gives 90 % to 110 %. Default 0.1. */
  jitterFactor?: number;
}

const delayMs = optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));

const exponentialSchema = {
  initialDelayMs: delayMs,
  maxDelayMs: delayMs,
  backoffMultiplier: number({ min: 1, max: 100, default: 2 }),
  jitterFactor: number({ min: 0, max: 1, default: 0.1 }),
};

/**
 * Delays that grow by a constant factor up to `maxDelayMs`, each with jitter.
 * @throws InvalidOptionError
 */
export function exponentialBackoff(options?: ExponentialBackoffOptions): Backoff {
  const resolved = parseOptions('exponentialBackoff', exponentialSchema, options);
  const { backoffMultiplier, jitterFactor } = resolved;
  const { initialDelayMs, maxDelayMs } = delayBounds('exponentialBackoff', resolved);
  return {
    *delays(random) {
      let nominalMs = initialDelayMs;
      while (true) {
        const jitter = 1 + jitterFactor * (2 * random() - 1);
        yield Math.min(maxDelayMs, Math.round(nominalMs * jitter));
        nominalMs = Math.min(maxDelayMs, nominalMs * backoffMultiplier);
      }
    },
  };
}

/** Options of `decorrelatedBackoff`. */
export interface DecorrelatedBackoffOptions {
  /** The shortest delay, in milliseconds. Default 1 000, or `maxDelayMs` if less. */
  initialDelayMs?: number;
  /** The longest delay. Default 30 000, or `initialDelayMs` if more. */
  maxDelayMs?: number;
}

const decorrelatedSchema = { initialDelayMs: delayMs, maxDelayMs: delayMs };

/**
 * Decorrelated jitter: each delay is drawn between the shortest one and three times the one before, so that callers
 * that failed together do not retry together.
 * Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @throws InvalidOptionError
 */
export function decorrelatedBackoff(options?: DecorrelatedBackoffOptions): Backoff {
  const resolved = parseOptions('decorrelatedBackoff', decorrelatedSchema, options);
  const { initialDelayMs, maxDelayMs } = delayBounds('decorrelatedBackoff', resolved);
  return {
    *delays(random) {
      let previousMs = initialDelayMs;
      while (true) {
        const drawnMs = initialDelayMs + random() * (previousMs * 3 - initialDelayMs);
        previousMs = Math.min(maxDelayMs, Math.round(drawnMs));
        yield previousMs;
      }
    },
  };
}

/**
 * The shortest and the longest delay; a default yields to a given value.
 * @param owner the public function, for the error's message.
 * @throws InvalidOptionError when both are given and contradict each other.
 */
export function delayBounds(
  owner: string,
  given: { readonly initialDelayMs: number | undefined; readonly maxDelayMs: number | undefined },
): { initialDelayMs: number; maxDelayMs: number } {
  const maxDelayMs = given.maxDelayMs ?? Math.max(30_000, given.initialDelayMs ?? 0);
  const initialDelayMs = given.initialDelayMs ?? Math.min(1_000, maxDelayMs);
  if (initialDelayMs <= maxDelayMs) return { initialDelayMs, maxDelayMs };
  const permitted = `at most maxDelayMs, ${maxDelayMs}`;
  throw new InvalidOptionError(owner, 'initialDelayMs', initialDelayMs, permitted);
}
