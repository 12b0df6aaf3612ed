import {
  type Backoff,
  callback,
  type Clock,
  delayBounds,
  exponentialBackoff,
  objectWith,
  integer,
  InvalidOptionError,
  number,
  optional,
  type Random,
  parseOptions,
  type OptionRule,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { type CallBudget, createRetryBudget } from './retry-budget.ts';
import { type ErrorKind, classifyError, errorKinds } from '../classify-error.ts';

/** Decides whether an error is retryable. */
export type RetryableTest = (error: unknown, attemptNumber: number) => boolean;

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
  /** A custom schedule, such as `decorrelatedBackoff()`, instead of the four options above. */
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
  /** The allowance for retries. Default: a budget of this policy alone. */
  budget?: CallBudget;
  clock?: Clock;
  random?: Random;
}

/** The options with their defaults. */
export interface ResolvedRetryOptions {
  readonly name: string;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly jitterFactor: number;
  readonly isRetryable: RetryableTest;
  /** Whether `isRetryable` may accept the refusal of a policy. */
  readonly retriesRefusals: boolean;
  readonly maxRetryAfterMs: number;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number | undefined;
  readonly budget: CallBudget;
  readonly clock: Clock;
  readonly random: Random;
}

/** Kinds that often pass by themselves. */
const transientKinds: readonly ErrorKind[] = [
  'network_timeout',
  'network_error',
  'gateway_timeout',
  'service_unavailable',
  'rate_limited',
  'server_error',
  'resource_exhausted',
  'transient',
  'unknown',
];

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

/**
 * @param owner the public function, for the error's message.
 * @throws InvalidOptionError
 */
export function parseRetryOptions(owner: string, given: unknown): ResolvedRetryOptions {
  const resolved = parseOptions(owner, schema, given);
  const { initialDelayMs, maxDelayMs, backoffMultiplier, jitterFactor, backoff, ...rest } =
    resolved;
  const refuse = (name: string, value: unknown, permitted: string): never => {
    throw new InvalidOptionError(owner, name, value, permitted);
  };
  if (backoff !== undefined) {
    const schedule = { initialDelayMs, maxDelayMs, backoffMultiplier };
    for (const [name, value] of Object.entries(schedule)) {
      if (value !== undefined) refuse(name, value, 'absent when backoff is given');
    }
  }
  const bounds = delayBounds(owner, { initialDelayMs, maxDelayMs });
  if (initialDelayMs !== undefined && initialDelayMs > rest.timeoutMs) {
    refuse('initialDelayMs', initialDelayMs, `at most timeoutMs, ${rest.timeoutMs}`);
  }
  if (rest.attemptTimeoutMs !== undefined && rest.attemptTimeoutMs > rest.timeoutMs) {
    refuse('attemptTimeoutMs', rest.attemptTimeoutMs, `at most timeoutMs, ${rest.timeoutMs}`);
  }
  return {
    name: rest.name,
    maxAttempts: rest.maxAttempts,
    backoff:
      backoff ??
      exponentialBackoff({
        ...bounds,
        backoffMultiplier: backoffMultiplier ?? 2,
        jitterFactor,
      }),
    jitterFactor,
    ...rest.retryableErrors,
    maxRetryAfterMs: rest.maxRetryAfterMs,
    timeoutMs: rest.timeoutMs,
    attemptTimeoutMs: rest.attemptTimeoutMs,
    budget: rest.budget ?? createRetryBudget({ clock: rest.clock }),
    clock: rest.clock,
    random: rest.random,
  };
}

type Retryability = Pick<ResolvedRetryOptions, 'isRetryable' | 'retriesRefusals'>;

function retryableErrors(): OptionRule<Retryability> {
  const permitted = `a function or an array of ${errorKinds.join(', ')}`;
  return {
    permitted,
    parse: (value, field, owner) => {
      if (isTest(value)) return { isRetryable: value, retriesRefusals: true };
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

function byKinds(kinds: readonly ErrorKind[]): Retryability {
  const chosen = new Set(kinds);
  return {
    isRetryable: (error) => chosen.has(classifyError(error)),
    retriesRefusals: chosen.has('refused'),
  };
}

function isTest(value: unknown): value is RetryableTest {
  return typeof value === 'function';
}

function isKind(value: unknown): value is ErrorKind {
  return errorKinds.some((kind) => kind === value);
}
