import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type {
  KeyedCircuitBreakers,
  KeyedCircuitBreakersStats,
} from '../breaker/keyed-circuit-breakers.ts';
import type { BulkheadStats } from '../bulkhead/bulkhead.ts';
import type { CallOutcome } from '../call-outcome.ts';
import type { FallbackCallOptions, Substitute } from '../fallback/fallback.ts';
import type { RateLimiterStats } from '../rate-limiter/rate-limiter.ts';
import type { RetryStats } from '../retry/retry-state.ts';
import type { HealthState } from './stack-health.ts';

/** The work of a call; it runs once for each attempt. */
export type StackWork<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** The outcome of a call as a value; `substitute` when the call failed and a fallback was given. */
export type StackOutcome<T, F = never> =
  | CallOutcome<T>
  | ({ readonly kind: 'substitute' } & Substitute<T, F>);

/** The fallbacks of one call, its signal, and what becomes of a value that comes too late. */
export interface StackCallOptions<T, F = T> extends FallbackCallOptions<T, F> {
  /** Receives a value that arrives after its attempt has timed out or was aborted, such as a connection to close. */
  onDiscarded?: ((value: T) => unknown) | undefined;
}

/** How a stack is closed. */
export interface StackCloseOptions {
  /** Lets the calls that were accepted finish, their retries included, for at most `deadlineMs`. Default false. */
  drain?: boolean;
  /** How long a drain may take, in milliseconds. Default 10 000. */
  deadlineMs?: number;
  /** An abort ends the drain. */
  signal?: AbortSignal | undefined;
}

/** What a stack has counted, and the numbers of its policies, read at any time. */
export interface StackStats {
  readonly name: string;
  readonly calls: number;
  readonly successes: number;
  /** Calls that were started and failed. */
  readonly failures: number;
  /** Calls of which no attempt was started. */
  readonly refusals: number;
  readonly aborts: number;
  /** Failures and refusals that ended with a fallback. */
  readonly substitutes: number;
  /** Attempts that timed out, by their own time or by the rest of the call's. */
  readonly timeouts: number;
  readonly circuitBreaker?: KeyedCircuitBreakersStats;
  readonly retry?: RetryStats;
  readonly bulkhead?: BulkheadStats;
  readonly rateLimiter?: RateLimiterStats;
}

/**
 * All policies about one dependency, around each call in this order:
 *
 *   rate limiter > retry > circuit breaker > bulkhead > timeout > the work
 *
 * so that a backoff holds no slot, a slot is released when the work has really ended, and a refusal by the stack
 * itself says nothing about the dependency. Each key has its own circuit; all keys share everything else.
 */
export interface ResilienceStack {
  readonly name: string;
  /**
   * Runs the work; resolves with a fallback if the work fails and one is given.
   * @throws CircuitOpenError, the errors of bulkhead and rate limiter and StackClosedError when no attempt was started;
   * RetryExhaustedError when several were made, of which one may have taken effect; TimeoutError or the error of the
   * work after one; FallbackThrewError; the reason of the signal.
   */
  execute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<T | F>;
  execute<T, F = never>(work: StackWork<T>, options?: StackCallOptions<T, F>): Promise<T | F>;
  /** As `execute`, but resolves with the outcome instead of throwing. */
  tryExecute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  tryExecute<T, F = never>(
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  /** All circuits, for their events and metrics; `undefined` in a stack without circuits. */
  readonly circuitBreakers: KeyedCircuitBreakers | undefined;
  /** The circuit of a key, or of the calls without one; `undefined` in a stack without circuits. */
  circuitBreaker(key?: string): CircuitBreaker | undefined;
  getHealthState(): HealthState;
  getStats(): StackStats;
  /** Closes every circuit and clears their results. */
  reset(): void;
  /**
   * Refuses every later call with StackClosedError. Waiting calls are refused as well, a backoff ends at once, and what
   * runs continues without a further attempt; or with `drain` all finish: then it resolves when none is left, or at the deadline, after which the calls that still wait are refused.
   * @throws InvalidOptionError
   */
  close(options?: StackCloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
