import type { ExecutingCircuit } from '../breaker/executing-circuit.ts';
import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakers } from '../breaker/keyed-circuit-breakers.ts';
import { InvalidOptionError, sleep } from '@holdfast/foundation';
import type { Aborted, CallOutcome, Failed, Refused } from '../call-outcome.ts';
import type { FallbackCallOptions } from '../fallback/fallback.ts';
import type { DeferredAbort } from '../timeout/guarded-call.ts';
import type { RateLimiter } from '../rate-limiter/rate-limiter.ts';
import { RetryState, type RetryCounters } from '../retry/retry-state.ts';
import type { ResilienceStack, StackOutcome, StackStats, StackWork } from './resilience-stack.ts';
import { StackAttempts, type StackCall, notStarted } from './stack-attempts.ts';
import { type HealthState, assessHealth } from './stack-health.ts';
import { type ResilienceStackOptions, type StackDeps, createStackDeps } from './stack-options.ts';

/** @throws InvalidOptionError */
export function createResilienceStack(options: ResilienceStackOptions = {}): ResilienceStack {
  return new PolicyStack(createStackDeps(options));
}

/** The key of calls without a key. */
const NO_KEY = '';

/**
 * Runs all policies in one place instead of nesting them, because a promise and a signal for each would cost more
 * than their decisions.
 */
class PolicyStack implements ResilienceStack {
  readonly #deps: StackDeps;
  readonly #attempts: StackAttempts;
  #calls = 0;
  #successes = 0;
  #failures = 0;
  #refusals = 0;
  #aborts = 0;
  #substitutes = 0;

  constructor(deps: StackDeps) {
    this.#deps = deps;
    this.#attempts = new StackAttempts(deps);
  }

  get name(): string {
    return this.#deps.name;
  }

  execute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<T | F>;
  execute<T, F = never>(work: StackWork<T>, options?: FallbackCallOptions<T, F>): Promise<T | F>;
  async execute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | FallbackCallOptions<T, F>,
    third?: FallbackCallOptions<T, F>,
  ): Promise<T | F> {
    const options = typeof second === 'function' ? third : second;
    const call = this.#callOf(first, second, options?.signal);
    // Awaited even if nothing is pending: an error thrown one microtask later costs half.
    const settling = this.#settle(call, await this.#begin(call));
    const outcome = 'kind' in settling ? settling : await settling;
    if (outcome.kind === 'value') return outcome.value;
    if (outcome.kind === 'aborted') throw outcome.reason;
    const error = errorOf(outcome, call.circuit);
    const substitute = options && (await this.#deps.fallback.substituteFor(error, options));
    if (substitute === undefined) throw error;
    this.#substitutes += 1;
    return substitute.value;
  }

  tryExecute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  tryExecute<T, F = never>(
    work: StackWork<T>,
    options?: FallbackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  async tryExecute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | FallbackCallOptions<T, F>,
    third?: FallbackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>> {
    const options = typeof second === 'function' ? third : second;
    const call = this.#callOf(first, second, options?.signal);
    const begun = this.#begin(call);
    const settling = this.#settle(call, 'kind' in begun ? begun : await begun);
    const outcome = 'kind' in settling ? settling : await settling;
    if (options === undefined || outcome.kind === 'value' || outcome.kind === 'aborted') {
      return outcome;
    }
    try {
      const error = errorOf(outcome, call.circuit);
      const substitute = await this.#deps.fallback.substituteFor(error, options);
      if (substitute === undefined) return outcome;
      this.#substitutes += 1;
      return { kind: 'substitute', ...substitute };
    } catch (error) {
      return { kind: 'failure', error };
    }
  }

  get circuitBreakers(): KeyedCircuitBreakers | undefined {
    return this.#deps.circuits;
  }

  circuitBreaker(key?: string): CircuitBreaker | undefined {
    return this.#deps.circuits?.get(key ?? NO_KEY);
  }

  getHealthState(): HealthState {
    const { circuits, bulkhead } = this.#deps;
    return assessHealth(circuits?.getStats(), circuits?.notClosed() ?? [], bulkhead?.getStats());
  }

  getStats(): StackStats {
    const { name, circuits, retry, bulkhead, rateLimiter } = this.#deps;
    return {
      name,
      calls: this.#calls,
      successes: this.#successes,
      failures: this.#failures,
      refusals: this.#refusals,
      aborts: this.#aborts,
      substitutes: this.#substitutes,
      timeouts: this.#attempts.timeouts,
      ...(circuits === undefined ? {} : { circuitBreaker: circuits.getStats() }),
      ...(retry === undefined ? {} : { retry: retry.getStats() }),
      ...(bulkhead === undefined ? {} : { bulkhead: bulkhead.getStats() }),
      ...(rateLimiter === undefined ? {} : { rateLimiter: rateLimiter.getStats() }),
    };
  }

  reset(): void {
    this.#deps.circuits?.reset();
  }

  async close(): Promise<void> {
    await Promise.all([this.#deps.bulkhead?.close(), this.#deps.rateLimiter?.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #callOf<T>(
    first: string | StackWork<T>,
    second: unknown,
    signal: AbortSignal | undefined,
  ): StackCall<T> {
    const work = workOf(first, second);
    const circuit = this.#deps.circuits?.get(typeof first === 'string' ? first : NO_KEY);
    return { circuit, work, signal, endMs: undefined, abortWork: undefined };
  }

  /** The first attempt. Synchronous where possible: a refusal costs no promise. */
  #begin<T>(call: StackCall<T>): CallOutcome<T> | Promise<CallOutcome<T>> {
    const { signal } = call;
    const { rateLimiter } = this.#deps;
    this.#calls += 1;
    if (signal?.aborted === true) return { kind: 'aborted', reason: signal.reason };
    if (rateLimiter === undefined || rateLimiter.takeIfAvailable()) return this.#start(call);
    return this.#startLater(call, rateLimiter);
  }

  async #startLater<T>(call: StackCall<T>, rateLimiter: RateLimiter): Promise<CallOutcome<T>> {
    const refusal = await this.#waitForToken(rateLimiter, call.signal);
    return refusal ?? this.#start(call);
  }

  #start<T>(call: StackCall<T>): CallOutcome<T> | Promise<CallOutcome<T>> {
    this.#deps.retry?.begin();
    return this.#attempts.run(call);
  }

  /**
   * The outcome of the call after its first attempt. Must run where the call itself has awaited the attempt, in
   * whose async context late work is aborted; an async function of its own would cost a tenth of the whole call.
   */
  #settle<T>(
    call: StackCall<T>,
    outcome: CallOutcome<T>,
  ): CallOutcome<T> | Promise<CallOutcome<T>> {
    const { retry } = this.#deps;
    abortIfLate(call);
    if (retry !== undefined) {
      if (retriable(outcome, retry) !== undefined) return this.#retry(call, outcome, retry);
      if (outcome.kind === 'value') retry.succeeded(1);
    }
    return this.#counted(outcome);
  }

  async #waitForToken(
    rateLimiter: RateLimiter,
    signal: AbortSignal | undefined,
  ): Promise<Refused | Aborted | undefined> {
    try {
      await rateLimiter.acquire(1, { signal });
      return undefined;
    } catch (error) {
      return notStarted('rate-limiter', error, signal);
    }
  }

  /** Continues after the first attempt with further attempts. */
  async #retry<T>(
    call: StackCall<T>,
    firstOutcome: CallOutcome<T>,
    retry: RetryCounters,
  ): Promise<CallOutcome<T>> {
    const { clock } = this.#deps;
    const state = new RetryState(retry, call.endMs ?? clock.now() + retry.options.timeoutMs);
    let outcome = firstOutcome;
    let failed = retriable(outcome, retry);
    while (failed !== undefined) {
      const error = errorOf(failed, call.circuit);
      const step = state.next(error);
      if (step.kind === 'fail') {
        return this.#counted(
          step.error === error ? outcome : { kind: 'failure', error: step.error },
        );
      }
      try {
        await sleep(clock, step.delayMs, call.signal);
      } catch (reason) {
        return this.#counted({ kind: 'aborted', reason });
      }
      outcome = await this.#attempts.run(call);
      abortIfLate(call);
      failed = retriable(outcome, retry);
    }
    if (outcome.kind === 'value') retry.succeeded(state.attemptNumber);
    return this.#counted(outcome);
  }

  #counted<T>(outcome: CallOutcome<T>): CallOutcome<T> {
    switch (outcome.kind) {
      case 'value':
        this.#successes += 1;
        break;
      case 'failure':
        this.#failures += 1;
        break;
      case 'refused':
        this.#refusals += 1;
        break;
      case 'aborted':
        this.#aborts += 1;
        break;
    }
    return outcome;
  }
}

/** Aborts work whose deadline has expired, in the async context of its own call. */
function abortIfLate(call: DeferredAbort): void {
  call.abortWork?.();
  call.abortWork = undefined;
}

/** The outcome, if another attempt may follow; a refusal by the rate limiter, outside the retry, is final. */
function retriable(
  outcome: CallOutcome<unknown>,
  { options }: RetryCounters,
): Failed | Refused | undefined {
  if (outcome.kind === 'failure') return outcome;
  if (outcome.kind !== 'refused' || outcome.policy === 'rate-limiter') return undefined;
  return options.retriesRefusals ? outcome : undefined;
}

function workOf<T>(first: string | StackWork<T>, second: unknown): StackWork<T>;
function workOf(first: unknown, second: unknown): unknown {
  const work = typeof first === 'string' ? second : first;
  if (typeof work === 'function') return work;
  throw new InvalidOptionError('stack.execute', 'work', work, 'a function');
}

/** The error that `execute` throws for an outcome without a value. */
function errorOf(outcome: Failed | Refused, circuit: ExecutingCircuit | undefined): unknown {
  return outcome.error ?? (outcome.kind === 'refused' ? circuit?.openError() : undefined);
}
