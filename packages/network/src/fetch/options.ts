import {
  type Clock,
  type Random,
  boolean,
  callback,
  exponentialBackoff,
  integer,
  InvalidOptionError,
  object,
  objectWith,
  oneOf,
  optional,
  number,
  parseOptions,
  systemClock,
  systemRandom,
  type Backoff,
  type OptionRule,
} from '@holdfast/foundation';
import { type CircuitBreakerOptions, createCircuitBreaker } from '@holdfast/resilience';
import type { DialerOptions } from '../dialing/dialer.ts';
import type { Dialer } from '../network.ts';
import type { AddressChangeSource, ResilientFetchOptions } from './resilient-fetch.ts';

const OWNER = 'createResilientFetch';
/** The longest delay of a timer; no deadline is longer, and so no pause either. */
export const LONGEST_MS = 2_147_483_647;
const MEBIBYTE = 1_048_576;

const ms = (fallback: number) => integer({ min: 1, max: LONGEST_MS, default: fallback });

type CircuitOptions = Omit<CircuitBreakerOptions, 'name' | 'clock' | 'classifyResult'>;

const CIRCUIT_FIELDS: Readonly<Record<keyof CircuitOptions, true>> = {
  failureThreshold: true,
  windowCalls: true,
  windowMs: true,
  failureRateThreshold: true,
  minimumCalls: true,
  slowCallMs: true,
  slowCallRateThreshold: true,
  openDurationMs: true,
  openDurationMultiplier: true,
  maxOpenDurationMs: true,
  nextOpenDurationMs: true,
  halfOpenMaxCalls: true,
  probeTimeoutMs: true,
};

/**
 * The options of a circuit, over its defaults.
 * @param fields what may be given beside those that all circuits take.
 */
export function circuitRule<Options extends CircuitOptions>(
  withDefaults: (given: Options) => Options,
  fields: readonly Exclude<keyof Options, keyof CircuitOptions>[],
): OptionRule<Options> {
  const known: readonly PropertyKey[] = [...Object.keys(CIRCUIT_FIELDS), ...fields];
  const isOptions = (value: unknown): value is Options =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  return {
    permitted: `an object with some of ${known.join(', ')}`,
    parse(value, field, owner) {
      if (!isOptions(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
      for (const key of Object.keys(value)) {
        if (known.includes(key)) continue;
        // The value may be a secret in the wrong field.
        const permitted = `one of the known options (${known.join(', ')})`;
        throw new InvalidOptionError(owner, `${field}.${key}`, 'a value', permitted);
      }
      try {
        const given = { ...value };
        for (const [key, each] of Object.entries(value)) {
          if (each === undefined) Reflect.deleteProperty(given, key);
        }
        const merged = withDefaults(given);
        createCircuitBreaker(merged);
        return merged;
      } catch (error) {
        if (!(error instanceof InvalidOptionError)) throw error;
        const { field: inner, value: refused, permitted } = error;
        throw new InvalidOptionError(owner, `${field}.${inner}`, refused, permitted);
      }
    },
  };
}

const OPEN_MS = 5_000;

const OF_WINDOW = ['windowMs', 'minimumCalls', 'failureRateThreshold', 'slowCallMs'] as const;

/** What is left out is as by default; `windowCalls` and `failureThreshold` alone take the place of its window. */
function originCircuit(given: CircuitOptions): CircuitOptions {
  const openDurationMs = Math.min(OPEN_MS, given.maxOpenDurationMs ?? OPEN_MS);
  if (given.windowCalls !== undefined) return { openDurationMs, ...given };
  const isByCount = given.failureThreshold !== undefined;
  if (isByCount && OF_WINDOW.every((field) => given[field] === undefined)) {
    return { openDurationMs, ...given };
  }
  const window = { windowMs: 10_000, minimumCalls: 20, failureRateThreshold: 0.5 };
  return { ...window, openDurationMs, ...given };
}

function circuitOrNone(): OptionRule<CircuitOptions | false> {
  const rule = circuitRule<CircuitOptions>(originCircuit, []);
  return {
    permitted: `false, or ${rule.permitted}`,
    parse(value, field, owner) {
      if (value === false) return false;
      if (typeof value === 'object' && value !== null) return rule.parse(value, field, owner);
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
    defaultValue: () => originCircuit({}),
  };
}

/** For what another function validates. */
export function anything<T>(): OptionRule<T> {
  const isGiven = (value: unknown): value is T => value !== undefined;
  return {
    permitted: 'given',
    parse(value, field, owner) {
      if (!isGiven(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
      return value;
    },
  };
}

const schema = {
  timeoutMs: ms(30_000),
  attemptTimeoutMs: optional(integer({ min: 1, max: LONGEST_MS })),
  retry: object({
    maxAttempts: integer({ min: 1, max: 100, default: 3 }),
    initialDelayMs: integer({ min: 0, max: LONGEST_MS, default: 100 }),
    maxDelayMs: integer({ min: 0, max: LONGEST_MS, default: 5_000 }),
    backoffMultiplier: number({ min: 1, max: 100, default: 2 }),
    jitterFactor: number({ min: 0, max: 1, default: 0.5 }),
  }),
  maxBodyBytes: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 100 * MEBIBYTE }),
  maxRedirects: integer({ min: 0, max: 100, default: 5 }),
  maxConcurrent: integer({ min: 1, max: 65_535, default: 64 }),
  maxQueueSize: integer({ min: 0, max: 1_000_000, default: 1_000 }),
  circuitBreaker: circuitOrNone(),
  transport: optional(oneOf(['undici', 'fetch'])),
  dialer: optional(objectWith<Dialer>(['dial'])),
  resolver: optional(objectWith<AddressChangeSource>(['on'])),
  // Validated by the dialer that is made of them.
  allowPrivate: optional(anything<NonNullable<DialerOptions['allowPrivate']>>()),
  tls: optional(anything<NonNullable<DialerOptions['tls']>>()),
  allowH2: boolean(false),
  pingAfterMs: ms(2_000),
  keepAliveMs: ms(4_000),
  maxConnectionAgeMs: ms(300_000),
  maxOrigins: integer({ min: 1, max: 100_000, default: 1_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options of a client, with their defaults. */
export interface FetchSettings {
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number | undefined;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly maxBodyBytes: number;
  readonly maxRedirects: number;
  readonly maxConcurrent: number;
  readonly maxQueueSize: number;
  /** `false`: none opens. */
  readonly circuitBreaker: CircuitOptions | false;
  readonly transport: 'undici' | 'fetch' | undefined;
  readonly dialer: Dialer | undefined;
  readonly resolver: AddressChangeSource | undefined;
  readonly allowPrivate: DialerOptions['allowPrivate'] | undefined;
  readonly tls: DialerOptions['tls'] | undefined;
  readonly allowH2: boolean;
  readonly pingAfterMs: number;
  readonly keepAliveMs: number;
  readonly maxConnectionAgeMs: number;
  readonly maxOrigins: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** @throws InvalidOptionError */
export function parseFetchOptions(given: ResilientFetchOptions | undefined): FetchSettings {
  const { retry, ...settings } = parseOptions(OWNER, schema, given);
  const { maxAttempts, ...delays } = retry;
  if (delays.initialDelayMs > delays.maxDelayMs) {
    throw new InvalidOptionError(
      OWNER,
      'retry.initialDelayMs',
      delays.initialDelayMs,
      `at most maxDelayMs, ${delays.maxDelayMs}`,
    );
  }
  return { ...settings, maxAttempts, backoff: exponentialBackoff(delays) };
}

/** What needs a transport that dials itself. @throws InvalidOptionError for options that `fetch` would ignore. */
export function refuseWithoutDialing(settings: FetchSettings): void {
  const { dialer, resolver, allowPrivate, tls, allowH2 } = settings;
  const permitted = 'left out without undici: the fetch of the platform connects by itself';
  for (const [field, value] of Object.entries({ dialer, resolver, allowPrivate, tls })) {
    if (value !== undefined) throw new InvalidOptionError(OWNER, field, value, permitted);
  }
  if (allowH2) throw new InvalidOptionError(OWNER, 'allowH2', allowH2, permitted);
}
