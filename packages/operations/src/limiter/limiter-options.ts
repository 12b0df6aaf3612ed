import {
  type Clock,
  InvalidOptionError,
  callback,
  integer,
  number,
  object,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { Rate, RateStore } from './rate-limiter.ts';

/** Options of `createDistributedRateLimiter`. All times in milliseconds. */
export interface DistributedRateLimiterOptions {
  /** Where instances count together, such as `redisRateStore` of `@holdfast/operations/redis`. */
  store: RateStore;
  /** Requests of a key in `windowMs`, in the long run. */
  limit: number;
  /** In milliseconds. Default 60 000. */
  windowMs?: number;
  /** How many requests a key may be ahead of that rate; at least `instances`. Default: a tenth of `limit`, or those. */
  burst?: number;
  /** A second limit over a shorter time: what arrives at once. Default: none but `burst`. */
  peak?: {
    /** Requests at once, and in `windowMs` in the long run. */
    limit: number;
    /** In milliseconds. Default 1 000. */
    windowMs?: number;
  };
  /** How many instances share the limit, at most; or what tells, which is asked while the store is away. Default 1. */
  instances?: number;
  /** What holds while the store is away: a share of this instance, or a refusal. Default `'share'`. */
  whenStoreDown?: 'share' | 'refuse';
  /** How long a caller waits for the store, in milliseconds. Default 50. */
  timeoutMs?: number;
  /** How often a store that is away is asked whether it is back, in milliseconds. Default 500. */
  rejoinEveryMs?: number;
  /** How loaded the service is, from 0 to 1: the limit is lowered by that share. Default: not at all. */
  load?: () => number;
  /** The share of the limit that holds at full load, above 0. Default 0.1. */
  floor?: number;
  /** Keys that are counted here while the store is away; further ones are limited. Default 100 000. */
  maxKeys?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const OWNER = 'createDistributedRateLimiter';
const MAX_COUNT = 1_000_000_000;
const YEAR_MS = 31_536_000_000;
const MINUTE_MS = 60_000;
/** Times are kept to a thousandth of a millisecond. */
const MAX_PER_MS = 100;
const count = { min: 1, max: MAX_COUNT };

const schema = {
  store: objectWith<RateStore>(['take', 'join']),
  limit: integer(count),
  windowMs: integer({ min: 1, max: YEAR_MS, default: MINUTE_MS }),
  burst: optional(integer(count)),
  peak: optional(
    object({ limit: integer(count), windowMs: integer({ min: 1, max: YEAR_MS, default: 1_000 }) }),
  ),
  instances: integer({ min: 1, max: 100_000, default: 1 }),
  whenStoreDown: oneOf(['share', 'refuse'], 'share'),
  timeoutMs: integer({ min: 1, max: MINUTE_MS, default: 50 }),
  rejoinEveryMs: integer({ min: 1, max: MINUTE_MS, default: 500 }),
  load: callback<() => number>(() => 0),
  floor: number({ min: 0.001, max: 1, default: 0.1 }),
  maxKeys: integer({ min: 1, max: 10_000_000, default: 100_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options of a rate limiter with their defaults; the limits as rates. */
export interface ResolvedLimiterOptions {
  readonly store: RateStore;
  readonly sustained: Rate;
  readonly peak: Rate;
  readonly maxCost: number;
  readonly instances: number;
  readonly whenStoreDown: 'share' | 'refuse';
  readonly timeoutMs: number;
  readonly rejoinEveryMs: number;
  readonly load: () => number;
  readonly floor: number;
  readonly maxKeys: number;
  readonly clock: Clock;
}

/** @throws InvalidOptionError */
export function parseLimiterOptions(
  options: DistributedRateLimiterOptions,
): ResolvedLimiterOptions {
  const { limit, windowMs, burst, peak, ...resolved } = parseOptions(OWNER, schema, options);
  const { instances } = resolved;
  const ahead = burst ?? Math.max(instances, Math.ceil(limit / 10));
  const atLeast = `at least instances (${instances}), so that each has a share of it`;
  if (ahead < instances) throw new InvalidOptionError(OWNER, 'burst', ahead, atLeast);
  if (peak !== undefined && peak.limit < instances) {
    throw new InvalidOptionError(OWNER, 'peak.limit', peak.limit, atLeast);
  }
  for (const [field, given] of Object.entries({ limit: { limit, windowMs }, 'peak.limit': peak })) {
    if (given === undefined || given.limit <= given.windowMs * MAX_PER_MS) continue;
    throw new InvalidOptionError(
      OWNER,
      field,
      given.limit,
      `at most ${MAX_PER_MS} in a millisecond`,
    );
  }
  const sustained = rateOf(limit, windowMs, ahead);
  return {
    ...resolved,
    sustained,
    // Without a peak, the same limit twice.
    peak: peak === undefined ? sustained : rateOf(peak.limit, peak.windowMs, peak.limit),
    maxCost: Math.min(ahead, peak?.limit ?? ahead),
  };
}

function rateOf(limit: number, windowMs: number, ahead: number): Rate {
  const intervalMs = windowMs / limit;
  return { intervalMs, toleranceMs: intervalMs * ahead };
}
