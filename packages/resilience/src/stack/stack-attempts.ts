import type { ExecutingCircuit } from '../breaker/executing-circuit.ts';
import { REFUSED } from '../breaker/circuit.ts';
import type { Bulkhead, Release } from '../bulkhead/bulkhead.ts';
import { BulkheadClosedError } from '../bulkhead/bulkhead-errors.ts';
import { DeadlineQueue, isHoldfastError } from '@holdfast/foundation';
import type { Aborted, CallOutcome, Refused, RefusingPolicy } from '../call-outcome.ts';
import {
  type DeadlineCallOptions,
  type DeferredAbort,
  ownDeadline,
  startWithDeadline,
} from '../timeout/guarded-call.ts';
import { RateLimiterClosedError } from '../rate-limiter/rate-limiter-errors.ts';
import { TimeoutError } from '../timeout/timeout.ts';
import type { StackWork } from './resilience-stack.ts';
import { closedOutcome } from './stack-closed-error.ts';
import type { StackDeps } from './stack-options.ts';

/** One call of a stack, through all of its attempts. */
export interface StackCall<T> extends DeferredAbort {
  readonly circuit: ExecutingCircuit | undefined;
  readonly work: StackWork<T>;
  readonly signal: AbortSignal | undefined;
  readonly onDiscarded: ((value: T) => unknown) | undefined;
  /** When the time for all attempts ends, on the monotonic clock; set when the first one begins. */
  endMs: number | undefined;
}

/** The inner half of a stack: circuit breaker > bulkhead > timeout > the work. Never rejects. */
export class StackAttempts {
  readonly #deps: StackDeps;
  readonly #deadlines: DeadlineQueue;
  readonly #timedOut: () => TimeoutError;
  #timeouts = 0;

  constructor(deps: StackDeps) {
    const { name, clock, timeoutMs } = deps;
    this.#deps = deps;
    this.#deadlines = new DeadlineQueue(clock, timeoutMs);
    this.#timedOut = () => this.#timeout(name, timeoutMs);
  }

  /** How many attempts timed out. */
  get timeouts(): number {
    return this.#timeouts;
  }

  run<T>(call: StackCall<T>): CallOutcome<T> | Promise<CallOutcome<T>> {
    const { circuit } = call;
    const generation = circuit === undefined ? 0 : circuit.admit();
    if (circuit !== undefined && generation === REFUSED) return circuit.refusedOutcome();
    const { bulkhead } = this.#deps;
    if (bulkhead === undefined) return this.#start(call, generation, undefined);
    const release = bulkhead.tryAcquire();
    if (release !== undefined) return this.#start(call, generation, release);
    return this.#queue(call, generation, bulkhead);
  }

  async #queue<T>(
    call: StackCall<T>,
    firstGeneration: number,
    bulkhead: Bulkhead,
  ): Promise<CallOutcome<T>> {
    const { circuit, signal } = call;
    let generation = firstGeneration;
    let release: Release;
    this.#endMs(call, this.#deps.clock.now());
    try {
      release = await bulkhead.acquire({ signal });
    } catch (error) {
      circuit?.recordRelease(generation);
      return notStarted('bulkhead', error, signal, this.#deps.name);
    }
    if (circuit?.isCurrent(generation) === false) {
      // The circuit has changed its state while the call was queued: ask it again.
      circuit.recordRelease(generation);
      generation = circuit.admit();
      if (generation === REFUSED) {
        release();
        return circuit.refusedOutcome();
      }
    }
    return this.#start(call, generation, release);
  }

  #start<T>(
    call: StackCall<T>,
    generation: number,
    release: Release | undefined,
  ): Promise<CallOutcome<T>> {
    const { circuit, signal } = call;
    const startMs = circuit === undefined ? 0 : circuit.startMs();
    return new Promise((resolve) => {
      startWithDeadline(
        call.work,
        this.#guard(call, release),
        (value) => {
          circuit?.recordSuccess(generation, circuit.elapsedMs(startMs));
          resolve({ kind: 'value', value });
        },
        (error) => {
          const aborted = signal?.aborted === true;
          circuit?.recordRejection(generation, error, circuit.elapsedMs(startMs), aborted);
          resolve(
            aborted ? { kind: 'aborted', reason: signal.reason } : { kind: 'failure', error },
          );
        },
      );
    });
  }

  /** The attempt's own timeout, or the rest of the call's total time if less. */
  #guard<T>(call: StackCall<T>, onSettled: Release | undefined): DeadlineCallOptions<T> {
    const { name, clock, timeoutMs } = this.#deps;
    const nowMs = clock.now();
    const leftMs = Math.max(1, Math.ceil(this.#endMs(call, nowMs) - nowMs));
    const { signal, onDiscarded } = call;
    if (leftMs >= timeoutMs) {
      return {
        signal,
        deadlines: this.#deadlines,
        timedOut: this.#timedOut,
        onSettled,
        onDiscarded,
        nowMs,
        deferredAbort: call,
      };
    }
    return {
      signal,
      deadlines: ownDeadline(clock, leftMs),
      timedOut: () => this.#timeout(name, leftMs),
      onSettled,
      onDiscarded,
      deferredAbort: call,
    };
  }

  #timeout(name: string, timeoutMs: number): TimeoutError {
    this.#timeouts += 1;
    return new TimeoutError(name, timeoutMs);
  }

  #endMs(call: Pick<StackCall<unknown>, 'endMs'>, nowMs: number): number {
    call.endMs ??= nowMs + (this.#deps.retry?.options.timeoutMs ?? Infinity);
    return call.endMs;
  }
}

/**
 * The outcome of an attempt that was refused in, or aborted from, a policy's queue. Only the close of the stack closes
 * its parts.
 */
export function notStarted(
  policy: RefusingPolicy,
  error: unknown,
  signal: AbortSignal | undefined,
  stack: string,
): Refused | Aborted {
  if (signal?.aborted === true) return { kind: 'aborted', reason: signal.reason };
  if (error instanceof BulkheadClosedError || error instanceof RateLimiterClosedError) {
    return closedOutcome(stack);
  }
  const retryAfterMs = isHoldfastError(error) ? error.retryAfterMs : undefined;
  return retryAfterMs === undefined
    ? { kind: 'refused', policy, error }
    : { kind: 'refused', policy, retryAfterMs, error };
}
