import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type {
  KeyedCircuitBreakers,
  KeyedCircuitBreakersStats,
} from '../breaker/keyed-circuit-breakers.ts';
import type { BulkheadStats } from '../bulkhead/bulkhead.ts';
import type { CallOutcome } from '../call-outcome.ts';
import type { Substitute, FallbackCallOptions } from '../fallback/fallback.ts';
import type { RateLimiterStats } from '../rate-limiter/rate-limiter.ts';
import type { RetryStats } from '../retry/retry-state.ts';
import type { HealthState } from './stack-health.ts';

/** What a stack calls; done once for each attempt. */
export type StackWork<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** What came of a call, as a value; `substitute` when the real answer failed and another stood in. */
export type StackOutcome<T, F = never> =
  | CallOutcome<T>
  | ({ readonly kind: 'substitute' } & Substitute<T, F>);

export interface StackStats {
  readonly name: string;
  readonly calls: number;
  readonly successes: number;
  /** Calls that were started and failed. */
  readonly failures: number;
  /** Calls of which no attempt, or no further one, was let through. */
  readonly refusals: number;
  readonly aborts: number;
  /** Failures and refusals that were answered from elsewhere. */
  readonly substitutes: number;
  /** Attempts that were told to stop because their time, or what was left of the call's, was over. */
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
 * so that a backoff holds no slot, a slot is given back when the work has really ended, and a refusal by
 * the stack itself says nothing about the dependency. Each key has its own circuit; everything else is
 * shared by all keys.
 */
export interface ResilienceStack {
  readonly name: string;
  /**
   * Does the work, and answers with a substitute if it fails and one is given.
   * @throws RetryExhaustedError, CircuitOpenError, TimeoutError, the errors of bulkhead and rate
   * limiter, whatever the work throws that is not worth another attempt, or the reason of the signal.
   */
  execute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<T | F>;
  execute<T, F = never>(work: StackWork<T>, options?: FallbackCallOptions<T, F>): Promise<T | F>;
  /** As `execute`, but tells what came of it instead of throwing. */
  tryExecute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  tryExecute<T, F = never>(
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  /** All circuits, for their events and metrics; `undefined` in a stack without circuits. */
  readonly circuitBreakers: KeyedCircuitBreakers | undefined;
  /** The circuit of a key, or of the calls without one; `undefined` in a stack without circuits. */
  circuitBreaker(key?: string): CircuitBreaker | undefined;
  getHealthState(): HealthState;
  getStats(): StackStats;
  /** Closes every circuit and forgets what they have seen. */
  reset(): void;
  /** Refuses what waits and every further call; what runs goes on. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
