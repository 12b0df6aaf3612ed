import { type CircuitBreakerOptions, parseCircuitOptions } from '../breaker/circuit-options.ts';
import { CircuitsByKey } from '../breaker/keyed-circuit-breakers.ts';
import type { Bulkhead, BulkheadOptions } from '../bulkhead/bulkhead.ts';
import { createBulkhead } from '../bulkhead/create-bulkhead.ts';
import {
  callback,
  type Clock,
  createEmitter,
  objectWith,
  integer,
  InvalidOptionError,
  optional,
  type Random,
  parseOptions,
  type OptionRule,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { type Fallback, type FallbackOptions, createFallback } from '../fallback/fallback.ts';
import {
  type StackRateLimiter,
  createStackRateLimiter,
} from '../rate-limiter/create-rate-limiter.ts';
import type { RateLimiterOptions } from '../rate-limiter/rate-limiter.ts';
import { RetryCounters, retryEventKinds } from '../retry/retry-state.ts';
import { type RetryOptions, parseRetryOptions } from '../retry/retry-options.ts';

/** A policy that is left out is not part of the stack; the timeout always is. */
export interface ResilienceStackOptions {
  /** The protected dependency, for errors and metrics. Default `stack`. */
  name?: string;
  /** The circuit breaker around each attempt. Default: none. */
  circuitBreaker?: CircuitBreakerOptions;
  /** The most circuits that are kept, one for each key. Default 10 000. */
  maxKeys?: number;
  /** Without `attemptTimeoutMs`: the stack's `timeoutMs` takes its place. */
  retry?: RetryOptions;
  /** How many calls run and wait. Default: no limit. */
  bulkhead?: BulkheadOptions;
  /** How many calls a second are started. Default: no limit. */
  rateLimiter?: RateLimiterOptions;
  /** The time for each attempt, in milliseconds. Default 30 000. */
  timeoutMs?: number;
  /** Which failures lead to a fallback, and how old a cached value may be. */
  fallback?: FallbackOptions;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** The policies of a stack. */
export interface StackDeps {
  readonly name: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly circuits: CircuitsByKey | undefined;
  readonly retry: RetryCounters | undefined;
  readonly bulkhead: Bulkhead | undefined;
  readonly rateLimiter: StackRateLimiter | undefined;
  readonly fallback: Fallback;
}

const OWNER = 'createResilienceStack';

const schema = {
  name: string({ maxLength: 200, default: 'stack' }),
  circuitBreaker: optional(record()),
  maxKeys: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  retry: optional(record()),
  bulkhead: optional(record()),
  rateLimiter: optional(record()),
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 30_000 }),
  fallback: optional(record()),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError whose field is the whole path, such as `retry.maxAttempts` */
export function createStackDeps(options: ResilienceStackOptions): StackDeps {
  const resolved = parseOptions(OWNER, schema, options);
  const { name, clock, random, timeoutMs, maxKeys } = resolved;
  const retry = resolved.retry && { name, clock, random, ...resolved.retry };
  if (retry !== undefined && 'attemptTimeoutMs' in retry) {
    const permitted = 'absent: an attempt of a stack may take its timeoutMs';
    throw new InvalidOptionError(
      OWNER,
      'retry.attemptTimeoutMs',
      retry.attemptTimeoutMs,
      permitted,
    );
  }
  return {
    name,
    clock,
    timeoutMs,
    circuits: createPolicy('circuitBreaker', resolved.circuitBreaker, (given) => {
      return new CircuitsByKey(parseCircuitOptions(OWNER, { name, clock, ...given }), maxKeys);
    }),
    retry: createPolicy('retry', retry, (given) => {
      return new RetryCounters(
        parseRetryOptions(OWNER, given),
        createEmitter('holdfast:retry', retryEventKinds),
      );
    }),
    bulkhead: createPolicy('bulkhead', resolved.bulkhead, (given) => {
      return createBulkhead({ name, clock, ...given });
    }),
    rateLimiter: createPolicy('rateLimiter', options.rateLimiter, (given) => {
      return createStackRateLimiter({ name, clock, ...given });
    }),
    fallback: createPolicy('fallback', resolved.fallback ?? {}, (given) => {
      return createFallback({ clock, ...given });
    }),
  };
}

/** Creates one policy of a stack; its errors name the whole path of the option. */
function createPolicy<Given, Policy>(
  path: string,
  given: Given,
  make: (given: NonNullable<Given>) => Policy,
): Policy;
function createPolicy<Given, Policy>(
  path: string,
  given: Given | undefined,
  make: (given: NonNullable<Given>) => Policy,
): Policy | undefined {
  if (given === undefined || given === null) return undefined;
  try {
    return make(given);
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    throw new InvalidOptionError(OWNER, `${path}.${error.field}`, error.value, error.permitted);
  }
}

function record(): OptionRule<object> {
  const permitted = 'an object';
  return {
    permitted,
    parse: (value, field, owner) => {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
      throw new InvalidOptionError(owner, field, value, permitted);
    },
  };
}
