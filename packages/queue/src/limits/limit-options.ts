import {
  InvalidOptionError,
  type OptionRule,
  callback,
  integer,
  number,
  optional,
  parseOptions,
} from '@holdfast/foundation';

/** What a limit by key is asked about. */
export interface LimitedJob {
  readonly id: string;
  readonly payload: unknown;
}

/** The option of `process` that limits a topic over all of its consumers, in all processes. */
export interface SharedLimitOptions {
  /**
   * Limits that all consumers of the topic share, in whatever process they are; each should state the same ones. They
   * are kept in Redis, by its time. No job starts without its leave, so none starts while Redis is away; those that run
   * go on, and count. Jobs are not prefetched.
   */
  limits?: SharedLimits;
}

/** Limits over all consumers of a topic. */
export interface SharedLimits {
  /**
   * The most jobs started per second, evenly: at most a tenth of them at once. 0.001 to 1 000 000. A retry of a job with
   * a `key` or with `whenExhausted: 'block'` does not count again. Default: no limit.
   */
  readonly maxPerSecond?: number;
  /**
   * The most jobs that run at once, until they are acknowledged. The slot of a job whose process died is free one
   * `leaseMs` later. 1 to 1 000 000. Default: no limit.
   */
  readonly maxRunning?: number;
  /**
   * Limits for each key by itself. A job over them is put aside, as a delayed one, and jobs of other keys go first; its
   * attempt does not count. Jobs of one key may then change their order, unless they have a `key` in `enqueue`: those
   * hold their partition until they may start. A topic with many jobs of one key over its limit costs Redis a few
   * commands a minute for each.
   */
  readonly perKey?: {
    /** The key of a job. Where it throws, the job counts for one key that all such jobs share. */
    readonly of: (job: LimitedJob) => string;
    /** As `maxPerSecond`, for each key. */
    readonly maxPerSecond?: number;
    /** As `maxRunning`, for each key. */
    readonly maxRunning?: number;
  };
}

/** A rate and a number of slots; 0 for no limit. */
export interface Limit {
  readonly perSecond: number;
  readonly running: number;
}

/** The limits, validated. */
export interface ResolvedLimits {
  readonly topic: Limit;
  readonly key: Limit;
  readonly keyOf: ((job: LimitedJob) => string) | undefined;
}

const MAX = 1_000_000;
const limitShape = {
  maxPerSecond: optional(number({ min: 0.001, max: MAX })),
  maxRunning: optional(integer({ min: 1, max: MAX })),
};
const keyShape = { ...limitShape, of: callback<(job: LimitedJob) => string>() };

/** The rule for `limits`. */
export function limitsRule(): OptionRule<ResolvedLimits> {
  const permitted = 'an object with maxPerSecond, maxRunning or perKey';
  return {
    permitted,
    parse(value, field, owner) {
      const shape = { ...limitShape, perKey: optional(perKeyRule()) };
      const { perKey, ...topic } = parseOptions(owner, shape, value, field);
      if (perKey === undefined && isNone(topic)) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      const { of: keyOf, ...key } = perKey ?? { of: undefined };
      return { topic: toLimit(topic), key: toLimit(key), keyOf };
    },
  };
}

interface GivenLimit {
  readonly maxPerSecond?: number | undefined;
  readonly maxRunning?: number | undefined;
}

function perKeyRule(): OptionRule<GivenLimit & { of: (job: LimitedJob) => string }> {
  const permitted = 'an object with of, and maxPerSecond or maxRunning';
  return {
    permitted,
    parse(value, field, owner) {
      const resolved = parseOptions(owner, keyShape, value, field);
      if (isNone(resolved)) throw new InvalidOptionError(owner, field, value, permitted);
      return resolved;
    },
  };
}

function isNone({ maxPerSecond, maxRunning }: GivenLimit): boolean {
  return maxPerSecond === undefined && maxRunning === undefined;
}

function toLimit({ maxPerSecond = 0, maxRunning = 0 }: GivenLimit): Limit {
  return { perSecond: maxPerSecond, running: maxRunning };
}
