import {
  callback,
  type Clock,
  objectWith,
  HoldfastError,
  integer,
  InvalidOptionError,
  number,
  type Random,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { classifyError } from '../classify-error.ts';
import { Gradient } from './gradient.ts';
import { withoutStack } from '../cheap-errors.ts';

export interface AdaptiveLimitOptions {
  /** Appears in errors. Default `adaptive-limit`. */
  name?: string;
  /** How many calls may run at first. Default 20. */
  initialLimit?: number;
  /** Default 1. */
  minLimit?: number;
  /** Default 1 000. */
  maxLimit?: number;
  /** The multiple of the baseline latency above which the limit falls. Default 1.3. */
  latencyTolerance?: number;
  /** The shortest time between two changes of the limit, in milliseconds. Default 500. */
  windowMs?: number;
  /** The fewest calls between two changes. Default 10. */
  minimumSamples?: number;
  /** How often the baseline is measured under a low limit, in milliseconds. Default 30 000. */
  remeasureEveryMs?: number;
  /**
   * Which failures mean that the server is overloaded. By default timeouts, refusals for overload (429,
   * 503, 504) and broken connections.
   */
  isDrop?: (error: unknown) => boolean;
  clock?: Clock;
  random?: Random;
}

/** The limit is reached: by its latencies, the server can serve no more calls without a queue. */
export class LimitExceededError extends HoldfastError {
  readonly code = 'RESILIENCE_LIMIT_EXCEEDED';

  constructor(adaptiveLimit: string, limit: number) {
    super(`adaptive limit ${adaptiveLimit}: ${limit} calls are running; this one was not started`, {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** One running call. The first of the three methods counts; later ones do nothing. */
export interface AdaptivePermit {
  /** The server served the call; its latency adjusts the limit. */
  succeeded(): void;
  /** The server dropped the call. */
  dropped(): void;
  /** The call ended without information about the server's load. */
  release(): void;
}

export interface AdaptiveLimitStats {
  readonly limit: number;
  readonly activeCount: number;
  /** Calls refused since the start. */
  readonly rejectedCount: number;
  /** The latency without a queue, in milliseconds; `undefined` until measured. */
  readonly baselineMs: number | undefined;
}

/**
 * A concurrency limit that adapts: it grows while latencies stay near the baseline, and falls when calls queue at
 * the server or are dropped by it. Calls above the limit are refused at once.
 */
export interface AdaptiveLimit {
  readonly name: string;
  tryAcquire(): AdaptivePermit | undefined;
  /** @throws LimitExceededError, the error of `fn`, or the signal's own reason. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  getStats(): AdaptiveLimitStats;
}

const signsOfOverload = new Set([
  'network_timeout',
  'network_error',
  'gateway_timeout',
  'service_unavailable',
  'rate_limited',
]);

const limit = (fallback: number) => integer({ min: 1, max: 1_000_000, default: fallback });

const schema = {
  name: string({ maxLength: 200, default: 'adaptive-limit' }),
  initialLimit: limit(20),
  minLimit: limit(1),
  maxLimit: limit(1_000),
  latencyTolerance: number({ min: 1, max: 10, default: 1.3 }),
  windowMs: integer({ min: 1, max: 3_600_000, default: 500 }),
  minimumSamples: integer({ min: 1, max: 10_000, default: 10 }),
  remeasureEveryMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 30_000 }),
  isDrop: callback<(error: unknown) => boolean>((error) =>
    signsOfOverload.has(classifyError(error)),
  ),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function createAdaptiveLimit(options?: AdaptiveLimitOptions): AdaptiveLimit {
  const resolved = parseOptions('createAdaptiveLimit', schema, options);
  const { name, initialLimit, minLimit, maxLimit, isDrop, clock } = resolved;
  if (minLimit > maxLimit) {
    const permitted = `at most maxLimit (${maxLimit})`;
    throw new InvalidOptionError('createAdaptiveLimit', 'minLimit', minLimit, permitted);
  }
  if (initialLimit < minLimit || initialLimit > maxLimit) {
    const permitted = `from minLimit (${minLimit}) to maxLimit (${maxLimit})`;
    throw new InvalidOptionError('createAdaptiveLimit', 'initialLimit', initialLimit, permitted);
  }
  const gradient = new Gradient(resolved, clock.now());
  let active = 0;
  let rejected = 0;

  const tryAcquire = (): AdaptivePermit | undefined => {
    if (active >= gradient.limit) {
      rejected += 1;
      return undefined;
    }
    active += 1;
    const startedMs = clock.now();
    const inFlight = active;
    let running = true;
    const end = (): boolean => {
      if (!running) return false;
      running = false;
      active -= 1;
      return true;
    };
    return {
      succeeded() {
        const nowMs = clock.now();
        if (end()) gradient.ended(startedMs, nowMs, nowMs - startedMs, inFlight);
      },
      dropped() {
        if (end()) gradient.ended(startedMs, clock.now(), undefined, inFlight);
      },
      release: () => void end(),
    };
  };

  return {
    name,
    tryAcquire,
    async execute(fn, given) {
      const signal = given?.signal;
      signal?.throwIfAborted();
      const permit = tryAcquire();
      if (permit === undefined) throw withoutStack(() => new LimitExceededError(name, active));
      try {
        const value = await fn(signal);
        permit.succeeded();
        return value;
      } catch (error) {
        if (signal?.aborted !== true && isDrop(error)) permit.dropped();
        throw error;
      } finally {
        permit.release();
      }
    },
    getStats: () => ({
      limit: gradient.limit,
      activeCount: active,
      rejectedCount: rejected,
      baselineMs: gradient.baselineMs,
    }),
  };
}
