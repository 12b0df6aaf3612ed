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
  string,
  systemClock,
} from '@holdfast/foundation';

/** Options of `generateLoad`. All times in milliseconds. */
export interface LoadOptions {
  /** The name of the scenario in the result. Default `load`. */
  name?: string;
  /** How long requests are started, in milliseconds. With `stages` it is their sum and left out. */
  durationMs?: number;
  /**
   * Open model: the number of requests that arrive each second, however slow the responses are; beside `stages` the
   * rate at the start (default 0). Without it and `stages` the model is closed: `users` send one request after the other.
   */
  ratePerSecond?: number;
  /** Open model: the rate changes linearly to that of each stage, in turn. At most 100. */
  stages?: readonly LoadStage[];
  /** The distribution of arrivals in the open model. Default `poisson`, which offers about the rate; `even` exactly. */
  arrivals?: 'even' | 'poisson';
  /** Open model: arrivals beyond this number of requests in flight are dropped and counted. Default 1 000. */
  maxInFlight?: number;
  /** Closed model: the number of users. Default 1. */
  users?: number;
  /** Closed model: the pause between a response and the next request of a user. Default 0. */
  thinkTimeMs?: number;
  /** How long to wait for the last responses before their requests are aborted. Default 10 000. */
  drainTimeoutMs?: number;
  /** The duration of one entry of the timeline. Default 1 000, and at least a ten-thousandth of the duration. */
  windowMs?: number;
  /** The seed of the arrivals. Default 1. */
  seed?: number;
  /** Ends the load; what was measured until then is the result. */
  signal?: AbortSignal;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A part of a load at the end of which the rate is `ratePerSecond`. */
export interface LoadStage {
  readonly durationMs: number;
  readonly ratePerSecond: number;
}

/** One request; its signal aborts when the load ends before its response. */
export type Work = (signal: AbortSignal, requestNumber: number) => unknown;

/** A stage with the rate it starts from; `undefined` rates are those of the closed model. */
export interface RateStage {
  readonly startMs: number;
  readonly durationMs: number;
  readonly startRate: number | undefined;
  readonly endRate: number | undefined;
}

/** The options with defaults applied. */
export interface ResolvedLoad {
  readonly name: string;
  readonly durationMs: number;
  /** Open model: at least one; closed: exactly one, without rates. */
  readonly stages: readonly RateStage[];
  readonly isOpen: boolean;
  readonly arrivals: 'even' | 'poisson';
  readonly maxInFlight: number;
  readonly users: number;
  readonly thinkTimeMs: number;
  readonly drainTimeoutMs: number;
  readonly windowMs: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

const DAY_MS = 86_400_000;
const MAX_RATE = 1_000_000;
const MAX_STAGES = 100;
/** The most entries of a timeline, each with a histogram. */
const MAX_WINDOWS = 10_000;
const DEFAULT_WINDOW_MS = 1_000;
const MIN_RATE = 0.001;

const duration = integer({ min: 1, max: DAY_MS });
const stageRule = object({
  durationMs: duration,
  ratePerSecond: number({ min: 0, max: MAX_RATE }),
});
const shape = {
  name: string({ maxLength: 200, default: 'load' }),
  durationMs: optional(duration),
  ratePerSecond: optional(number({ min: 0, max: MAX_RATE })),
  stages: optional(objectWith<readonly unknown[]>(['map', 'length'])),
  arrivals: oneOf(['even', 'poisson'], 'poisson'),
  maxInFlight: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  users: integer({ min: 1, max: 100_000, default: 1 }),
  thinkTimeMs: number({ min: 0, max: DAY_MS, default: 0 }),
  drainTimeoutMs: integer({ min: 0, max: DAY_MS, default: 10_000 }),
  windowMs: optional(integer({ min: 10, max: DAY_MS })),
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
  signal: optional(objectWith<AbortSignal>(['addEventListener', 'aborted'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const workRule = callback<Work>();
/** The options of one model only. */
const ofModel = { open: ['arrivals', 'maxInFlight'], closed: ['users', 'thinkTimeMs'] } as const;

const refuse = (field: string, value: unknown, permitted: string): InvalidOptionError =>
  new InvalidOptionError('generateLoad', field, value, permitted);

/** @throws InvalidOptionError */
export function parseLoad(work: unknown, given: LoadOptions): ResolvedLoad {
  const options = parseOptions('generateLoad', shape, given);
  workRule.parse(work, 'work', 'generateLoad');
  const isOpen = options.ratePerSecond !== undefined || options.stages !== undefined;
  refuseOtherModel(given, isOpen);
  const stages = stagesOf(options);
  const durationMs = stages.reduce((sum, stage) => sum + stage.durationMs, 0);
  if (durationMs > DAY_MS) throw refuse('stages', durationMs, 'of a day together at most');
  return { ...options, durationMs, isOpen, stages, windowMs: windowOf(options, durationMs) };
}

function stagesOf(options: {
  readonly durationMs: number | undefined;
  readonly ratePerSecond: number | undefined;
  readonly stages: readonly unknown[] | undefined;
}): RateStage[] {
  const { durationMs, ratePerSecond: rate, stages } = options;
  if (stages === undefined) {
    if (durationMs === undefined) {
      throw refuse('durationMs', durationMs, `${duration.permitted}, or stages given`);
    }
    if (rate !== undefined && rate < MIN_RATE) {
      throw refuse('ratePerSecond', rate, `a number from ${MIN_RATE} to ${MAX_RATE}`);
    }
    return [{ startMs: 0, durationMs, startRate: rate, endRate: rate }];
  }
  if (durationMs !== undefined) {
    throw refuse('durationMs', durationMs, 'left out beside stages, whose durations are added');
  }
  if (stages.length === 0 || stages.length > MAX_STAGES) {
    throw refuse('stages', stages.length, `a list of 1 to ${MAX_STAGES} stages`);
  }
  let startMs = 0;
  let startRate = rate ?? 0;
  const parsed = stages.map((stage, index): RateStage => {
    const each = stageRule.parse(stage, `stages.${index}`, 'generateLoad');
    const own = { startMs, durationMs: each.durationMs, startRate, endRate: each.ratePerSecond };
    startMs += each.durationMs;
    startRate = each.ratePerSecond;
    return own;
  });
  if (parsed.every((stage) => stage.startRate === 0 && stage.endRate === 0)) {
    throw refuse('stages', stages, 'a list with a rate above 0');
  }
  return parsed;
}

function windowOf({ windowMs }: { windowMs: number | undefined }, durationMs: number): number {
  const least = Math.ceil(durationMs / MAX_WINDOWS);
  if (windowMs === undefined) return Math.max(DEFAULT_WINDOW_MS, least);
  if (windowMs >= least) return windowMs;
  throw refuse('windowMs', windowMs, `at least ${least}, for ${MAX_WINDOWS} windows at most`);
}

/** Refuses an option of the other model, which would have no effect. */
function refuseOtherModel(options: LoadOptions, isOpen: boolean): void {
  const permitted = isOpen
    ? 'left out beside ratePerSecond or stages'
    : 'given beside ratePerSecond or stages alone';
  for (const name of isOpen ? ofModel.closed : ofModel.open) {
    const value = options[name];
    if (value !== undefined) throw refuse(name, value, permitted);
  }
}
