import { checkCall } from '../check-call.ts';
import {
  callback,
  type Clock,
  objectWith,
  HoldfastError,
  integer,
  InvalidOptionError,
  number,
  type Random,
  type ResolvedOptions,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { classifyError } from '../classify/classify-error.ts';
import { decide, warnOnce, whenDecided, yesOrNo } from '../decision.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { safeRandom } from '../safe-random.ts';
import { type WorkCallOptions, untilAborted } from '../until-aborted.ts';
import { Gradient } from './gradient.ts';
import { withoutStack } from '../cheap-errors.ts';

/** Options of `createAdaptiveLimit`. All times in milliseconds. */
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
   * 503, 504) and broken connections. One that throws decides that it is none; a promise is awaited without delaying
   * the call or holding its slot; until it settles the failure changes no limit.
   */
  isDrop?: (error: unknown) => boolean | Promise<boolean>;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
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

/** The limit and its measurements, read at any time. */
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
    options?: WorkCallOptions<T>,
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

const noDrop = yesOrNo(false);

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
  isDrop: callback<(error: unknown) => unknown>((error) =>
    signsOfOverload.has(classifyError(error)),
  ),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/**
 * Limits concurrent calls by their latency: the limit rises while calls are as fast as without a queue, and falls when
 * they are not.
 * @throws InvalidOptionError
 */
export function createAdaptiveLimit(options?: AdaptiveLimitOptions): AdaptiveLimit;
export function createAdaptiveLimit(
  name: string,
  options?: NameFirst<AdaptiveLimitOptions>,
): AdaptiveLimit;
export function createAdaptiveLimit(
  first?: string | AdaptiveLimitOptions,
  second?: NameFirst<AdaptiveLimitOptions>,
): AdaptiveLimit {
  const options = nameFirst<AdaptiveLimitOptions>('createAdaptiveLimit', first, second);
  const resolved = parseOptions('createAdaptiveLimit', schema, options);
  checkLimits(resolved);
  return limitOf(resolved);
}

function checkLimits({ initialLimit, minLimit, maxLimit }: ResolvedOptions<typeof schema>): void {
  if (minLimit > maxLimit) {
    const permitted = `at most maxLimit (${maxLimit})`;
    throw new InvalidOptionError('createAdaptiveLimit', 'minLimit', minLimit, permitted);
  }
  if (initialLimit < minLimit || initialLimit > maxLimit) {
    const permitted = `from minLimit (${minLimit}) to maxLimit (${maxLimit})`;
    throw new InvalidOptionError('createAdaptiveLimit', 'initialLimit', initialLimit, permitted);
  }
}

interface CountedPermit extends AdaptivePermit {
  /** The call has failed: its slot is free at once, also while a promise decides whether it was dropped. */
  failed(dropped: boolean | Promise<boolean>): void;
}

function limitOf(resolved: ResolvedOptions<typeof schema>): AdaptiveLimit {
  const { name, isDrop, clock } = resolved;
  const warn = warnOnce(`adaptive limit ${name}: isDrop`);
  const dropsCall = (error: unknown) => decide(warn, noDrop, () => isDrop(error));
  const random = safeRandom(`adaptive limit ${name}`, resolved.random);
  const gradient = new Gradient({ ...resolved, random }, clock.now());
  let active = 0;
  let rejected = 0;

  const tryAcquire = (): CountedPermit | undefined => {
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
      failed(dropped) {
        if (!end()) return;
        const endedMs = clock.now();
        whenDecided(dropped, (wasDropped) => {
          if (wasDropped) gradient.ended(startedMs, endedMs, undefined, inFlight);
        });
      },
    };
  };

  return {
    name,
    tryAcquire,
    async execute(fn, given) {
      checkCall('adaptiveLimit.execute', fn, given);
      const signal = given?.signal;
      signal?.throwIfAborted();
      const permit = tryAcquire();
      if (permit === undefined) throw withoutStack(() => new LimitExceededError(name, active));
      try {
        const value = await (signal === undefined ? fn(signal) : untilAborted(fn, signal, given));
        permit.succeeded();
        return value;
      } catch (error) {
        if (signal?.aborted === true) permit.release();
        else permit.failed(dropsCall(error));
        throw error;
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
