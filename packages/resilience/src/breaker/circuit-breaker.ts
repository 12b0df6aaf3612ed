import type { CallOutcome } from '../call-outcome.ts';
import type { EventKinds, Subscribe } from '@holdfast/foundation';
import type { LateValueOptions } from '../until-aborted.ts';
import type { RefusingState } from './circuit-open-error.ts';
import type { CircuitSnapshot } from './circuit-snapshot.ts';
import type { CircuitState } from './circuit-state.ts';

/** The events of a circuit breaker, by name. */
export interface CircuitBreakerEvents {
  stateChanged: CircuitStateChange;
}

export const circuitBreakerEventKinds: EventKinds<CircuitBreakerEvents> = { stateChanged: true };

/** A change of the state of a circuit. */
export interface CircuitStateChange {
  readonly name: string;
  /** Which circuit of a keyed set. */
  readonly key?: string;
  readonly from: CircuitState['kind'];
  readonly to: CircuitState['kind'];
  readonly atEpochMs: number;
  /** The failure that opened the circuit, if one did. */
  readonly error?: unknown;
  /** How long the circuit will refuse, if it has opened. */
  readonly openDurationMs?: number;
}

/** The state of a circuit and its counts, read at any time. */
export interface CircuitBreakerStats {
  readonly name: string;
  readonly key?: string;
  readonly state: CircuitState['kind'];
  readonly consecutiveFailures: number;
  /** When the circuit entered its state, in milliseconds since the Unix epoch. */
  readonly lastStateChange: number;
  /** When an open circuit admits probes, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Openings in a row without recovery in between. */
  readonly openings: number;
  /** Results in the window: completed calls, and those that failed or were slow. */
  readonly window: {
    readonly calls: number;
    readonly failures: number;
    readonly slowCalls: number;
  };
  /** Results since the circuit was created, and calls it refused. */
  readonly successCount: number;
  readonly failureCount: number;
  readonly slowCount: number;
  readonly rejectedCount: number;
  /** Calls that say nothing about the dependency: aborted, or refused by an inner policy. */
  readonly neutralCount: number;
  /** Results that arrived after a change of state, and had no effect. */
  readonly lateCount: number;
}

/** Options of one call through a circuit breaker. */
export interface CircuitCallOptions<T = unknown> extends LateValueOptions<T> {
  /**
   * Passed to the work. An abort rejects the call at once with the signal's own reason; such a call says nothing about
   * the dependency.
   */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The right to make one call. The first of the three methods counts; a result has an effect only if the circuit
 * has not changed its state since.
 */
export interface CircuitPermit {
  readonly granted: true;
  /** @param durationMs how long the call took; used only with `slowCallMs`. */
  success(durationMs?: number): void;
  failure(error: unknown, durationMs?: number): void;
  /** The call says nothing about the dependency. */
  release(): void;
}

/** A circuit that permits no call, and for how long it will not. */
export interface PermitRefusal {
  readonly granted: false;
  readonly state: RefusingState;
  readonly retryAfterMs?: number;
}

/**
 * Stops calls to a dependency that fails. Every decision is synchronous: no call waits for a breaker. It has no
 * timer: an open circuit becomes half-open with the first call after its time.
 */
export interface CircuitBreaker {
  readonly name: string;
  readonly state: CircuitState['kind'];
  readonly on: Subscribe<CircuitBreakerEvents>;
  /**
   * Calls `work` unless the circuit refuses.
   * @throws CircuitOpenError, the error of the work, or the reason of the signal
   */
  execute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: CircuitCallOptions<T> & { readonly signal: AbortSignal },
  ): Promise<T>;
  execute<T>(work: () => T | PromiseLike<T>, options?: CircuitCallOptions<T>): Promise<T>;
  /** As `execute`, but resolves with the outcome instead of throwing; much cheaper for a refusal. */
  tryExecute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: CircuitCallOptions<T> & { readonly signal: AbortSignal },
  ): Promise<CallOutcome<T>>;
  tryExecute<T>(
    work: () => T | PromiseLike<T>,
    options?: CircuitCallOptions<T>,
  ): Promise<CallOutcome<T>>;
  /** For calls that are not one function. The holder of the permit must settle it once. */
  tryAcquire(): CircuitPermit | PermitRefusal;
  /** Refuses every call until `reset()`. */
  isolate(): void;
  /** Opens the circuit; it admits probes as usual. Default: `openDurationMs`. */
  forceOpen(durationMs?: number): void;
  /** Admits every call and only counts, until `reset()`. */
  observe(): void;
  /** Closes the circuit and clears its results. */
  reset(): void;
  exportState(): CircuitSnapshot;
  /**
   * Restores an exported state. Running calls no longer count.
   * @throws InvalidOptionError
   */
  hydrate(snapshot: CircuitSnapshot): void;
  getStats(): CircuitBreakerStats;
}
