import { classifyError } from '../classify-error.ts';
import {
  callback,
  type Clock,
  objectWith,
  integer,
  InvalidOptionError,
  number,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import type { ProbeRules } from './circuit-state.ts';
import { CountWindow, type ResultWindow, TimeWindow } from './result-window.ts';

/** What an error of the work says about the dependency. `neutral`: nothing. */
export type CircuitResult = 'failure' | 'success' | 'neutral';

/** What {@link CircuitBreakerOptions.nextOpenDurationMs} is told. */
export interface Opening {
  /** 1 for the first opening, 2 when the probes failed once, and so on. */
  readonly openings: number;
  /** The failure that opened the circuit; `undefined` when a probe was lost or calls were slow. */
  readonly error: unknown;
}

/**
 * When a circuit opens, and how it closes again. Without a window the count of consecutive failures
 * decides; with `windowCalls` or `windowMs` the shares of failed and slow calls do (and, if it is given,
 * `failureThreshold` too).
 */
export interface CircuitBreakerOptions {
  /** What the circuit protects, for messages, events and metrics. Default `circuit-breaker`. */
  name?: string;
  /** Consecutive failures that open the circuit. Default 5 without a window. */
  failureThreshold?: number;
  /** Judge the last so many calls, 1 to 100 000. */
  windowCalls?: number;
  /** Judge the calls of the last so many milliseconds. */
  windowMs?: number;
  /** Share of failed calls in the window that opens the circuit, above 0 to 1. Default 0.5. */
  failureRateThreshold?: number;
  /** With fewer calls in the window no share decides. Default 20, or `windowCalls` if that is less. */
  minimumCalls?: number;
  /** A call that took this long counts as slow. Default: none does. */
  slowCallMs?: number;
  /** Share of slow calls in the window that opens the circuit, above 0 to 1. Default 1. */
  slowCallRateThreshold?: number;
  /** How long an open circuit refuses before it lets probes through. Default 60 000. */
  openDurationMs?: number;
  /** Each opening without recovery in between lasts this many times longer. Default 1. */
  openDurationMultiplier?: number;
  /** No opening lasts longer. Default 600 000, or `openDurationMs` if that is more. */
  maxOpenDurationMs?: number;
  /** Decides how long this opening lasts, at most `maxOpenDurationMs`; `undefined` leaves it as it is. */
  nextOpenDurationMs?: (opening: Opening) => number | undefined;
  /** Probes let through while half-open, and successes that close the circuit. Default 1. */
  halfOpenMaxCalls?: number;
  /** A probe that has not come back after this long counts as failed. Default 60 000. */
  probeTimeoutMs?: number;
  /**
   * What an error says about the dependency. Default: refusals of policies and aborts say nothing, a
   * client error (HTTP 4xx) that it is alive, everything else that it failed.
   */
  classifyResult?: (error: unknown) => CircuitResult;
  clock?: Clock;
}

/** What {@link parseCircuitOptions} makes of them: shared by all circuits of a keyed set. */
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
  readonly trial: ProbeRules;
  readonly maxOpenDurationMs: number;
  openDurationMs(opening: Opening): number;
  classifyResult(error: unknown): CircuitResult;
}

const durationMs = (fallback: number) =>
  integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: fallback });
const optionalMs = optional(integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const share = optional(number({ min: 0.0001, max: 1 }));
const count = optional(integer({ min: 1, max: 100_000 }));

const shape = {
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
  nextOpenDurationMs: optional(callback<(opening: Opening) => number | undefined>()),
  halfOpenMaxCalls: integer({ min: 1, max: 10_000, default: 1 }),
  probeTimeoutMs: durationMs(60_000),
  classifyResult: callback<(error: unknown) => CircuitResult>(resultByKind),
  clock: objectWith<Clock>(['now', 'epochMs'], systemClock),
};

/**
 * @param owner the public function on whose behalf it reads.
 * @throws InvalidOptionError
 */
export function parseCircuitOptions(owner: string, given: unknown): CircuitRules {
  const settled = parseOptions(owner, shape, given);
  const refuse = (name: string, value: unknown, permitted: string): never => {
    throw new InvalidOptionError(owner, name, value, permitted);
  };
  const { windowCalls, windowMs, openDurationMs, halfOpenMaxCalls, slowCallMs } = settled;
  const windowed = windowCalls !== undefined || windowMs !== undefined;
  if (windowCalls !== undefined && windowMs !== undefined) {
    refuse('windowMs', windowMs, 'absent when windowCalls is given');
  }
  for (const name of windowOptions) {
    if (!windowed && settled[name] !== undefined) {
      refuse(name, settled[name], 'absent without windowCalls or windowMs');
    }
  }
  if (settled.slowCallRateThreshold !== undefined && slowCallMs === undefined) {
    refuse('slowCallRateThreshold', settled.slowCallRateThreshold, 'absent without slowCallMs');
  }
  const minimumCalls = settled.minimumCalls ?? Math.min(20, windowCalls ?? 20);
  if (windowCalls !== undefined && minimumCalls > windowCalls) {
    refuse('minimumCalls', minimumCalls, `at most windowCalls, ${windowCalls}`);
  }
  const maxOpenDurationMs = settled.maxOpenDurationMs ?? Math.max(600_000, openDurationMs);
  if (openDurationMs > maxOpenDurationMs) {
    refuse('openDurationMs', openDurationMs, `at most maxOpenDurationMs, ${maxOpenDurationMs}`);
  }
  const failureRateThreshold = settled.failureRateThreshold ?? 0.5;
  const slowCallRateThreshold = settled.slowCallRateThreshold ?? 1;
  const shareOfProbes = (rate: number): number => Math.ceil(rate * halfOpenMaxCalls - 1e-9);
  return {
    name: settled.name,
    clock: settled.clock,
    failureThreshold: settled.failureThreshold ?? (windowed ? Infinity : 5),
    createWindow: windowFactory(windowCalls, windowMs),
    minimumCalls,
    failureRateThreshold,
    slowCallMs: slowCallMs ?? Infinity,
    slowCallRateThreshold,
    trial: {
      maxCalls: halfOpenMaxCalls,
      failuresToReopen: windowed ? shareOfProbes(failureRateThreshold) : 1,
      slowCallsToReopen: slowCallMs === undefined ? Infinity : shareOfProbes(slowCallRateThreshold),
      probeTimeoutMs: settled.probeTimeoutMs,
    },
    maxOpenDurationMs,
    openDurationMs: (opening) => {
      const grownMs = openDurationMs * settled.openDurationMultiplier ** (opening.openings - 1);
      const chosenMs = guarded(settled.name, () => settled.nextOpenDurationMs?.(opening));
      const valid = chosenMs !== undefined && chosenMs >= 0;
      return Math.min(maxOpenDurationMs, valid ? chosenMs : grownMs);
    },
    classifyResult: (error) =>
      guarded(settled.name, () => settled.classifyResult(error)) ?? 'failure',
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
  const decisive = kind === 'exhausted' ? classifyError(causeOf(error)) : kind;
  if (decisive === 'refused' || decisive === 'aborted') return 'neutral';
  return decisive === 'client_error' ? 'success' : 'failure';
}

function causeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'cause') : undefined;
}

/** What a caller's function decides; one that throws decides nothing and is nobody else's error. */
function guarded<T>(name: string, decide: () => T): T | undefined {
  try {
    return decide();
  } catch (error) {
    process.emitWarning(`circuit breaker ${name}: an option threw: ${String(error)}`);
    return undefined;
  }
}
