import {
  type Backoff,
  callback,
  type Clock,
  delayBounds,
  objectWith,
  integer,
  isHoldfastError,
  InvalidOptionError,
  number,
  optional,
  type Random,
  type OptionRule,
  type OptionsSchema,
  parseOptions,
  parseOver,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { decide, warnOnce, yesOrNo } from '../decision.ts';
import { safeRandom } from '../safe-random.ts';
import { type CallBudget, createRetryBudget, safeBudget } from './retry-budget.ts';
import { checkSchedule } from './check-schedule.ts';
import { type ErrorKind, errorKinds } from '../classify/error-kind.ts';
import { kindOf, transientKinds } from '../classify/transient.ts';

/** Decides whether an error is retryable. One that throws decides that it is not. */
export type RetryableTest = (error: unknown, attemptNumber: number) => boolean | Promise<boolean>;

/** Options of `createRetry`. All times in milliseconds. */
export interface RetryOptions {
  /** Appears in errors and events. Default `retry`. */
  name?: string;
  /** The first attempt included, 1 to 1 000. Default 3. */
  maxAttempts?: number;
  /** Delay before the second attempt, in milliseconds. Default 1 000. */
  initialDelayMs?: number;
  /** No delay of the schedule is longer. Default 30 000. */
  maxDelayMs?: number;
  /** Each delay is this many times the one before. Default 2. */
  backoffMultiplier?: number;
  /** Share of the delay drawn at random around it, 0 to 1. Default 0.1. */
  jitterFactor?: number;
  /**
   * A custom schedule, such as `decorrelatedBackoff()`, instead of the four options above; of at least as many delays
   * as `maxAttempts` can need.
   */
  backoff?: Backoff;
  /**
   * The kinds of errors that are retried, or a function that decides. Default: every transient kind, and unknown
   * errors.
   */
  retryableErrors?: readonly ErrorKind[] | RetryableTest;
  /** The longest wait for a server's `Retry-After`, in milliseconds. Default 30 000. */
  maxRetryAfterMs?: number;
  /** The time for all attempts and delays together, in milliseconds. Default 300 000. */
  timeoutMs?: number;
  /** The time for one attempt, in milliseconds. Default: the rest of `timeoutMs`. */
  attemptTimeoutMs?: number;
  /** The allowance for retries. Default: a budget of this policy alone; none for a single `retry()`. */
  budget?: CallBudget;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** Which failures are retried. */
interface Retryability {
  readonly isRetryable: RetryableTest;
  /** Whether `isRetryable` may accept the refusal of a policy. */
  readonly retriesRefusals: boolean;
}

/** The options with their defaults. */
export interface ResolvedRetryOptions {
  readonly name: string;
  readonly maxAttempts: number;
  /** The schedule: a custom one, or the exponential one of the next three. */
  readonly backoff: Backoff | undefined;
  readonly initialDelayMs: number | undefined;
  readonly maxDelayMs: number | undefined;
  readonly backoffMultiplier: number | undefined;
  readonly jitterFactor: number;
  readonly retryableErrors: Retryability;
  readonly maxRetryAfterMs: number;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number | undefined;
  /** `undefined`: only the limits of each call hold. */
  readonly budget: CallBudget | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const durationMs = integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const delayMs = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const schema = {
  name: string({ maxLength: 200, default: 'retry' }),
  maxAttempts: integer({ min: 1, max: 1_000, default: 3 }),
  initialDelayMs: optional(delayMs),
  maxDelayMs: optional(delayMs),
  backoffMultiplier: optional(number({ min: 1, max: 100 })),
  jitterFactor: number({ min: 0, max: 1, default: 0.1 }),
  backoff: optional(objectWith<Backoff>(['delays'])),
  retryableErrors: retryableErrors(),
  maxRetryAfterMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 30_000 }),
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 300_000 }),
  attemptTimeoutMs: optional(durationMs),
  budget: optional(objectWith<CallBudget>(['deposit', 'tryWithdraw'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

const defaults: ResolvedRetryOptions = parseOptions('retry', schema, {});

/** The options of a single call, with those of `execute`. */
const singleSchema = {
  ...schema,
  signal: optional(objectWith<AbortSignal>(['aborted', 'addEventListener'])),
  onDiscarded: optional(callback<(value: never) => unknown>()),
};

/**
 * The options of a policy for many calls, which has a budget of its own if none is given.
 * @param owner the public function, for the error's message.
 * @throws InvalidOptionError
 */
export function parseRetryOptions(owner: string, given: object | undefined): ResolvedRetryOptions {
  const resolved = parse(owner, schema, given ?? {});
  if (resolved.budget !== undefined) return resolved;
  return { ...resolved, budget: createRetryBudget({ clock: resolved.clock }) };
}

/**
 * The options of a single call, which may have those of `execute` as well.
 * @throws InvalidOptionError
 */
export function parseSingleRetryOptions(given: object | undefined): ResolvedRetryOptions {
  return given === undefined ? defaults : parse('retry', singleSchema, given);
}

function parse(
  owner: string,
  rules: OptionsSchema<ResolvedRetryOptions>,
  given: object,
): ResolvedRetryOptions {
  const resolved = parseOver(owner, rules, defaults, given);
  checkDurations(owner, resolved);
  const { name, maxAttempts, backoff, random, budget } = resolved;
  if (backoff !== undefined) checkSchedule(owner, backoff, maxAttempts - 1);
  if (budget === undefined && random === systemRandom) return resolved;
  return {
    ...resolved,
    budget: budget === undefined ? undefined : safeBudget(name, budget),
    random: safeRandom(name, random),
  };
}

function checkDurations(owner: string, resolved: ResolvedRetryOptions): void {
  const { initialDelayMs, maxDelayMs, backoffMultiplier, timeoutMs, attemptTimeoutMs } = resolved;
  const refuse = (name: string, value: unknown, permitted: string): never => {
    throw new InvalidOptionError(owner, name, value, permitted);
  };
  if (resolved.backoff !== undefined) {
    const schedule = { initialDelayMs, maxDelayMs, backoffMultiplier };
    for (const [name, value] of Object.entries(schedule)) {
      if (value !== undefined) refuse(name, value, 'absent when backoff is given');
    }
  }
  if (initialDelayMs !== undefined && maxDelayMs !== undefined) delayBounds(owner, resolved);
  if (initialDelayMs !== undefined && initialDelayMs > timeoutMs) {
    refuse('initialDelayMs', initialDelayMs, `at most timeoutMs, ${timeoutMs}`);
  }
  if (attemptTimeoutMs !== undefined && attemptTimeoutMs > timeoutMs) {
    refuse('attemptTimeoutMs', attemptTimeoutMs, `at most timeoutMs, ${timeoutMs}`);
  }
}

function retryableErrors(): OptionRule<Retryability> {
  const permitted = `a function or an array of ${errorKinds.join(', ')}`;
  return {
    permitted,
    parse: (value, field, owner) => {
      if (isTest(value)) return byTest(value, owner);
      if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, permitted);
      const kinds: unknown[] = value;
      const chosen = kinds.map((kind, index) => {
        if (isKind(kind)) return kind;
        const known = `one of ${errorKinds.join(', ')}`;
        throw new InvalidOptionError(owner, `${field}[${index}]`, kind, known);
      });
      return byKinds(chosen);
    },
    defaultValue: () => byKinds(transientKinds),
  };
}

function byTest(test: RetryableTest, owner: string): Retryability {
  const warn = warnOnce(`${owner}: retryableErrors`);
  return {
    isRetryable: (error, attemptNumber) =>
      decide(warn, yesOrNo(false), () => test(error, attemptNumber)),
    retriesRefusals: true,
  };
}

function byKinds(kinds: readonly ErrorKind[]): Retryability {
  const chosen = new Set(kinds);
  return {
    isRetryable: (error) => {
      const kind = kindOf(error);
      // A policy that is closed or isolated refuses the next attempt as well.
      const isFinal = kind === 'refused' && isHoldfastError(error) && !error.retryable;
      return chosen.has(kind) && !isFinal;
    },
    retriesRefusals: chosen.has('refused'),
  };
}

function isTest(value: unknown): value is RetryableTest {
  return typeof value === 'function';
}

function isKind(value: unknown): value is ErrorKind {
  return errorKinds.some((kind) => kind === value);
}
