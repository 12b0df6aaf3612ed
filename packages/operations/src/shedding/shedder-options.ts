import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  callback,
  integer,
  number,
  object,
  objectWith,
  parseOptions,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { PriorityClass } from './shedding.ts';
import type { ResolvedWatermark, Watermark } from './watermarks.ts';

/** Options of `createLoadShedder`. All times in milliseconds. */
export interface LoadShedderOptions {
  /** How many requests run at first. Default 20. */
  initialLimit?: number;
  /** Default 1. */
  minLimit?: number;
  /** Default 1 000. */
  maxLimit?: number;
  /** The multiple of the latency without load above which the limit falls. Default 1.3. */
  latencyTolerance?: number;
  /** The share of the limit that a class may take. */
  shares?: {
    /** Default 1. */
    critical?: number;
    /** Default 0.9. */
    normal?: number;
    /** Default 0.5. */
    background?: number;
  };
  /** How many requests wait. Default 100. */
  maxWaiting?: number;
  /** How long one waits at most, in milliseconds. Default 500. */
  maxWaitMs?: number;
  /** What the shortest wait is to stay below, in milliseconds; the longest one under overload. Default 20. */
  targetWaitMs?: number;
  /** For how long it may be above that until it is overload, in milliseconds. Default 100. */
  overloadAfterMs?: number;
  /** The resources of the machine that run short, by name. Default: none. */
  watermarks?: Readonly<Record<string, Watermark>>;
  /** How often these are read, in milliseconds, when requests come. Default 100. */
  readEveryMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

const OWNER = 'createLoadShedder';
const HOUR_MS = 3_600_000;
const share = (absent: number): OptionRule<number> =>
  number({ min: 0.01, max: 1, default: absent });
const limit = (absent: number): OptionRule<number> =>
  integer({ min: 1, max: 1_000_000, default: absent });
const durationMs = (absent: number): OptionRule<number> =>
  integer({ min: 1, max: HOUR_MS, default: absent });

const watermarkSchema = {
  read: callback<() => number | undefined>(),
  high: share(0.85),
  critical: share(0.95),
};
const watermarks: OptionRule<Readonly<Record<string, ResolvedWatermark>>> = {
  permitted: 'an object of watermarks by name',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, 'an object of watermarks by name');
    }
    return Object.fromEntries(
      Object.entries(value).map(([name, mark]) => {
        const resolved = parseOptions(owner, watermarkSchema, mark, `${field}.${name}`);
        if (resolved.critical > resolved.high) return [name, resolved];
        const permitted = `above high (${resolved.high})`;
        throw new InvalidOptionError(
          owner,
          `${field}.${name}.critical`,
          resolved.critical,
          permitted,
        );
      }),
    );
  },
  defaultValue: () => ({}),
};

const schema = {
  initialLimit: limit(20),
  minLimit: limit(1),
  maxLimit: limit(1_000),
  latencyTolerance: number({ min: 1, max: 10, default: 1.3 }),
  shares: object({ critical: share(1), normal: share(0.9), background: share(0.5) }),
  maxWaiting: integer({ min: 0, max: 1_000_000, default: 100 }),
  maxWaitMs: durationMs(500),
  targetWaitMs: durationMs(20),
  overloadAfterMs: durationMs(100),
  watermarks,
  readEveryMs: integer({ min: 0, max: HOUR_MS, default: 100 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options of a load shedder with their defaults. */
export interface ResolvedShedderOptions extends Readonly<
  Required<Omit<LoadShedderOptions, 'shares' | 'watermarks'>>
> {
  readonly shares: Readonly<Record<PriorityClass, number>>;
  readonly watermarks: Readonly<Record<string, ResolvedWatermark>>;
}

/** @throws InvalidOptionError */
export function parseShedderOptions(options: LoadShedderOptions): ResolvedShedderOptions {
  const resolved = parseOptions(OWNER, schema, options);
  if (resolved.targetWaitMs <= resolved.maxWaitMs) return resolved;
  const permitted = `at most maxWaitMs (${resolved.maxWaitMs})`;
  throw new InvalidOptionError(OWNER, 'targetWaitMs', resolved.targetWaitMs, permitted);
}
