import { classifyError } from '../classify/classify-error.ts';
import { type Answer, decide, warnOnce } from '../decision.ts';
import {
  callback,
  type Clock,
  objectWith,
  integer,
  InvalidOptionError,
  number,
  optional,
  parseOptions,
  propertyOf,
  systemClock,
  string,
} from '@holdfast/foundation';
import type { ProbeRules } from './circuit-state.ts';
import { CountWindow, type ResultWindow, TimeWindow } from './result-window.ts';

/** The meaning of an error for the dependency; `neutral` says nothing about it. */
export type CircuitResult = 'failure' | 'success' | 'neutral';

/** The argument of {@link CircuitBreakerOptions.nextOpenDurationMs}. */
export interface Opening {
  /** 1 for the first opening, 2 after its probes have failed, and so on. */
  readonly openings: number;
  /** The failure that opened the circuit; `undefined` after a lost probe or slow calls. */
  readonly error: unknown;
}

/**
 * When a circuit opens, and how it closes again. Without a window the number of consecutive failures decides; with
 * `windowCalls` or `windowMs` the shares of failed and slow calls decide, and `failureThreshold` if it is given.
 */
export interface CircuitBreakerOptions {
  /** The protected dependency, for errors, events and metrics. Default `circuit-breaker`. */
  name?: string;
  /** Consecutive failures that open the circuit. Default 5 without a window. */
  failureThreshold?: number;
  /** The window is this many last calls, 1 to 100 000. */
  windowCalls?: number;
  /** The window is this time, in milliseconds. */
  windowMs?: number;
  /** Share of failed calls in the window that opens the circuit, above 0 to 1. Default 0.5. */
  failureRateThreshold?: number;
  /** The fewest calls in the window for which shares decide. Default 20, or `windowCalls` if less. */
  minimumCalls?: number;
  /** A call that takes this long is slow, in milliseconds. Default: no call is. */
  slowCallMs?: number;
  /** Share of slow calls in the window that opens the circuit, above 0 to 1. Default 1. */
  slowCallRateThreshold?: number;
  /** How long an open circuit refuses before it admits probes, in milliseconds. Default 60 000. */
  openDurationMs?: number;
  /** The factor between the durations of openings without recovery in between. Default 1. */
  openDurationMultiplier?: number;
  /** The longest opening, in milliseconds. Default 600 000, or `openDurationMs` if more. */
  maxOpenDurationMs?: number;
  /** Returns the duration of this opening, at most `maxOpenDurationMs`; `undefined` keeps the configured one. */
  nextOpenDurationMs?: (opening: Opening) => number | undefined;
  /** Probes admitted while half-open, and successes that close the circuit. Default 1. */
  halfOpenMaxCalls?: number;
  /** A probe that takes longer counts as failed, in milliseconds. Default 60 000. */
  probeTimeoutMs?: number;
  /**
   * Classifies an error of the work. Default: refusals of policies and aborts are `neutral`, an answer that is
   * the call's own fault (HTTP 4xx, a conflict) is a `success` of the dependency, everything else a `failure`. A
   * promise is awaited without delaying the call, and the error counts when it has resolved: one that never settles
   * counts nothing, and a probe then fails after `probeTimeoutMs`.
   */
  classifyResult?: (error: unknown) => CircuitResult | Promise<CircuitResult>;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The resolved options, shared by all circuits of a keyed set. */
export interface CircuitRules {
  readonly name: string;
  readonly clock: Clock;
  readonly failureThreshold: number;
  readonly createWindow: (() => ResultWindow) | undefined;
  readonly minimumCalls: number;
  readonly failureRateThreshold: number;
  /** `Infinity` when no call is slow. */
  readonly slowCallMs: number;
  readonly slowCallRateThreshold: number;
  readonly probes: ProbeRules;
  readonly maxOpenDurationMs: number;
  openDurationMs(opening: Opening): number;
  classifyResult(error: unknown): CircuitResult | Promise<CircuitResult>;
}

const durationMs = (fallback: number) =>
  integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: fallback });
const optionalMs = optional(integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const share = optional(number({ min: 0.0001, max: 1 }));
const count = optional(integer({ min: 1, max: 100_000 }));

const schema = {
  name: string({ maxLength: 200, default: 'circuit-breaker' }),
  failureThreshold: count,
  windowCalls: count,
  windowMs: optionalMs,
  failureRateThreshold: share,
  minimumCalls: count,
  slowCallMs: optionalMs,
  slowCallRateThreshold: share,
  openDurationMs: durationMs(60_000),
  openDurationMultiplier: number({ min: 1, max: 100, default: 1 }),
  maxOpenDurationMs: optionalMs,
  nextOpenDurationMs: optional(callback<(opening: Opening) => unknown>()),
  halfOpenMaxCalls: integer({ min: 1, max: 10_000, default: 1 }),
  probeTimeoutMs: durationMs(60_000),
  classifyResult: optional(callback<(error: unknown) => unknown>()),
  clock: objectWith<Clock>(['now', 'epochMs'], systemClock),
};

/**
 * @param owner the public function, for the error's message.
 * @throws InvalidOptionError
 */
export function parseCircuitOptions(owner: string, given: unknown): CircuitRules {
  const resolved = parseOptions(owner, schema, given);
  const refuse = (name: string, value: unknown, permitted: string): never => {
    throw new InvalidOptionError(owner, name, value, permitted);
  };
  const { windowCalls, windowMs, openDurationMs, halfOpenMaxCalls, slowCallMs } = resolved;
  const windowed = windowCalls !== undefined || windowMs !== undefined;
  if (windowCalls !== undefined && windowMs !== undefined) {
    refuse('windowMs', windowMs, 'absent when windowCalls is given');
  }
  for (const name of windowOptions) {
    if (!windowed && resolved[name] !== undefined) {
      refuse(name, resolved[name], 'absent without windowCalls or windowMs');
    }
  }
  if (resolved.slowCallRateThreshold !== undefined && slowCallMs === undefined) {
    refuse('slowCallRateThreshold', resolved.slowCallRateThreshold, 'absent without slowCallMs');
  }
  const minimumCalls = resolved.minimumCalls ?? Math.min(20, windowCalls ?? 20);
  if (windowCalls !== undefined && minimumCalls > windowCalls) {
    refuse('minimumCalls', minimumCalls, `at most windowCalls, ${windowCalls}`);
  }
  const maxOpenDurationMs = resolved.maxOpenDurationMs ?? Math.max(600_000, openDurationMs);
  if (openDurationMs > maxOpenDurationMs) {
    refuse('openDurationMs', openDurationMs, `at most maxOpenDurationMs, ${maxOpenDurationMs}`);
  }
  const failureRateThreshold = resolved.failureRateThreshold ?? 0.5;
  const slowCallRateThreshold = resolved.slowCallRateThreshold ?? 1;
  const chosenDurationMs = durationChooser(resolved.name, resolved.nextOpenDurationMs);
  const shareOfProbes = (rate: number): number => Math.ceil(rate * halfOpenMaxCalls - 1e-9);
  return {
    name: resolved.name,
    clock: resolved.clock,
    failureThreshold: resolved.failureThreshold ?? (windowed ? Infinity : 5),
    createWindow: windowFactory(windowCalls, windowMs),
    minimumCalls,
    failureRateThreshold,
    slowCallMs: slowCallMs ?? Infinity,
    slowCallRateThreshold,
    probes: {
      maxCalls: halfOpenMaxCalls,
      failuresToReopen: windowed ? shareOfProbes(failureRateThreshold) : 1,
      slowCallsToReopen: slowCallMs === undefined ? Infinity : shareOfProbes(slowCallRateThreshold),
      probeTimeoutMs: resolved.probeTimeoutMs,
    },
    maxOpenDurationMs,
    openDurationMs: (opening) => {
      const grownMs = openDurationMs * resolved.openDurationMultiplier ** (opening.openings - 1);
      return Math.min(maxOpenDurationMs, chosenDurationMs(opening) ?? grownMs);
    },
    classifyResult: resultClassifier(resolved.name, resolved.classifyResult),
  };
}

const windowOptions = ['failureRateThreshold', 'minimumCalls', 'slowCallMs'] as const;

function windowFactory(
  windowCalls: number | undefined,
  windowMs: number | undefined,
): (() => ResultWindow) | undefined {
  if (windowCalls !== undefined) return () => new CountWindow(windowCalls);
  return windowMs === undefined ? undefined : () => new TimeWindow(windowMs);
}

function resultByKind(error: unknown): CircuitResult {
  const kind = classifyError(error);
  const decisive = kind === 'exhausted' ? classifyError(propertyOf(error, 'cause')) : kind;
  if (decisive === 'refused' || decisive === 'aborted') return 'neutral';
  // The dependency answered, and would answer another call well.
  return decisive === 'client_error' || decisive === 'conflict' ? 'success' : 'failure';
}

const results: readonly CircuitResult[] = ['failure', 'success', 'neutral'];

const resultAnswer: Answer<CircuitResult> = {
  permitted: `one of ${results.join(', ')}`,
  parse: (value) => results.find((known) => known === value),
  otherwise: 'failure',
};

function resultClassifier(
  name: string,
  classify: ((error: unknown) => unknown) | undefined,
): CircuitRules['classifyResult'] {
  if (classify === undefined) {
    return (error) => {
      try {
        return resultByKind(error);
      } catch {
        // An error whose properties cannot be read.
        return 'failure';
      }
    };
  }
  const warn = warnOnce(`circuit breaker ${name}: classifyResult`);
  return (error) => decide(warn, resultAnswer, () => classify(error));
}

/** The duration that the user's function chooses; `undefined` keeps the configured one. */
function durationChooser(
  name: string,
  choose: ((opening: Opening) => unknown) | undefined,
): (opening: Opening) => number | undefined {
  if (choose === undefined) return () => undefined;
  const warn = warnOnce(`circuit breaker ${name}: nextOpenDurationMs`);
  const permitted = 'undefined or milliseconds from 0';
  const answer: Answer<number | null> = {
    permitted,
    parse: (value) => {
      if (value === undefined) return null;
      return typeof value === 'number' && value >= 0 ? value : undefined;
    },
    otherwise: null,
  };
  return (opening) => {
    const chosen = decide(warn, answer, () => choose(opening));
    if (!(chosen instanceof Promise)) return chosen ?? undefined;
    warn(`must return ${permitted}, but returned a promise, which no opening can wait for`);
    return undefined;
  };
}
