import type { CallOutcome } from '../call-outcome.ts';
import type { Subscribe } from '@holdfast/foundation';
import type { RefusingState } from './circuit-open-error.ts';
import type { CircuitSnapshot } from './circuit-snapshot.ts';
import type { CircuitState } from './circuit-state.ts';

export interface CircuitBreakerEvents {
  stateChanged: CircuitStateChange;
}

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

export interface CircuitBreakerStats {
  readonly name: string;
  readonly key?: string;
  readonly state: CircuitState['kind'];
  readonly consecutiveFailures: number;
  /** When the circuit came into its state, in milliseconds since the epoch. */
  readonly lastStateChange: number;
  /** When an open circuit lets probes through, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Openings in a row without recovery in between. */
  readonly openings: number;
  /** Results in the window: calls that came back, and those among them that failed or were slow. */
  readonly window: {
    readonly calls: number;
    readonly failures: number;
    readonly slowCalls: number;
  };
  /** Results since the circuit was made, and calls it refused. */
  readonly successCount: number;
  readonly failureCount: number;
  readonly slowCount: number;
  readonly rejectedCount: number;
  /** Calls that said nothing about the dependency: aborted, or refused further in. */
  readonly neutralCount: number;
  /** Results that came after the circuit had changed its state, and moved nothing. */
  readonly lateCount: number;
}

export interface CircuitCallOptions {
  /** Handed to the work. A call that fails after its abort says nothing about the dependency. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The right to make one call. The first of the three methods to be called counts; a result moves the
 * circuit only if it has not changed its state since.
 */
export interface CircuitPermit {
  readonly granted: true;
  /** @param durationMs how long the call took; only counts if calls can be slow. */
  success(durationMs?: number): void;
  failure(error: unknown, durationMs?: number): void;
  /** The call said nothing about the dependency. */
  release(): void;
}

export interface PermitRefusal {
  readonly granted: false;
  readonly state: RefusingState;
  readonly retryAfterMs?: number;
}

/**
 * Stops calling what does not answer. Every decision is synchronous: no caller ever waits for a breaker,
 * and it has no timer, so that an open circuit turns half-open on the first call after its time.
 */
export interface CircuitBreaker {
  readonly name: string;
  readonly state: CircuitState['kind'];
  readonly on: Subscribe<CircuitBreakerEvents>;
  /**
   * Calls `work` unless the circuit refuses.
   * @throws CircuitOpenError, whatever the work throws, or the reason of a signal aborted before
   */
  execute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: { readonly signal: AbortSignal },
  ): Promise<T>;
  execute<T>(work: () => T | PromiseLike<T>, options?: CircuitCallOptions): Promise<T>;
  /** As `execute`, but tells what came of it instead of throwing; much cheaper for a refusal. */
  tryExecute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: { readonly signal: AbortSignal },
  ): Promise<CallOutcome<T>>;
  tryExecute<T>(
    work: () => T | PromiseLike<T>,
    options?: CircuitCallOptions,
  ): Promise<CallOutcome<T>>;
  /** For calls that are not one function: whoever gets the permit must give it back, once. */
  tryAcquire(): CircuitPermit | PermitRefusal;
  /** Refuses every call until `reset()`. */
  isolate(): void;
  /** Opens the circuit by hand; it will let probes through as usual. Default: `openDurationMs`. */
  forceOpen(durationMs?: number): void;
  /** Lets every call through and only counts, until `reset()`. */
  observe(): void;
  /** Closes the circuit and forgets what it has seen. */
  reset(): void;
  exportState(): CircuitSnapshot;
  /**
   * Takes over an exported state. What is in flight no longer counts.
   * @throws InvalidOptionError
   */
  hydrate(snapshot: CircuitSnapshot): void;
  getStats(): CircuitBreakerStats;
}
