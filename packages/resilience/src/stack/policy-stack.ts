import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakers } from '../breaker/keyed-circuit-breakers.ts';
import { abortable, withDeadline } from '@holdfast/foundation';
import type { Aborted, CallOutcome, Refused } from '../call-outcome.ts';
import { type WarnOnce, warnOnce } from '../decision.ts';
import { IdleWait, parseDrain } from '../drain.ts';
import type { Substitute } from '../fallback/fallback.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import type { RateLimiter } from '../rate-limiter/rate-limiter.ts';
import type { RetryCounters } from '../retry/retry-state.ts';
import type {
  ResilienceStack,
  StackCallOptions,
  StackCloseOptions,
  StackOutcome,
  StackStats,
  StackWork,
} from './resilience-stack.ts';
import { checkedWork } from './call-arguments.ts';
import { StackAttempts, type StackCall, notStarted } from './stack-attempts.ts';
import { closedOutcome } from './stack-closed-error.ts';
import { StackRetries, abortIfLate, errorOf, retriable } from './stack-retries.ts';
import { TimeoutError } from '../timeout/timeout.ts';
import { CLOSED_HEALTH, type HealthState, assessHealth } from './stack-health.ts';
import { type ResilienceStackOptions, type StackDeps, createStackDeps } from './stack-options.ts';

/**
 * Puts the policies in their fixed order around calls; a policy that is not configured is left out.
 * @throws InvalidOptionError
 */
export function createResilienceStack(options?: ResilienceStackOptions): ResilienceStack;
export function createResilienceStack(
  name: string,
  options?: NameFirst<ResilienceStackOptions>,
): ResilienceStack;
export function createResilienceStack(
  first?: string | ResilienceStackOptions,
  second?: NameFirst<ResilienceStackOptions>,
): ResilienceStack {
  const options = nameFirst<ResilienceStackOptions>('createResilienceStack', first, second);
  return new PolicyStack(createStackDeps(options ?? {}));
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
  readonly #retries: StackRetries;
  #calls = 0;
  #successes = 0;
  #failures = 0;
  #refusals = 0;
  #aborts = 0;
  #substitutes = 0;
  #isClosed = false;
  readonly #idle = new IdleWait();
  readonly #warnOfFallback: WarnOnce;

  constructor(deps: StackDeps) {
    this.#deps = deps;
    this.#attempts = new StackAttempts(deps);
    this.#retries = new StackRetries(deps, this.#attempts);
    this.#warnOfFallback = warnOnce(`${deps.name}: fallback`);
  }

  get name(): string {
    return this.#deps.name;
  }

  execute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<T | F>;
  execute<T, F = never>(work: StackWork<T>, options?: StackCallOptions<T, F>): Promise<T | F>;
  async execute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | StackCallOptions<T, F>,
    third?: StackCallOptions<T, F>,
  ): Promise<T | F> {
    const options = typeof second === 'function' ? third : second;
    const call = this.#callOf(first, second, options);
    // Awaited even if nothing is pending: an error thrown one microtask later costs half.
    const settling = this.#settle(call, await this.#begin(call));
    const outcome = 'kind' in settling ? settling : await settling;
    if (outcome.kind === 'value') return outcome.value;
    if (outcome.kind === 'aborted') throw outcome.reason;
    const error = errorOf(outcome, call.circuit);
    const substitute = options && (await this.#substituteFor(error, options));
    if (substitute === undefined) throw error;
    this.#substitutes += 1;
    return substitute.value;
  }

  tryExecute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  tryExecute<T, F = never>(
    work: StackWork<T>,
    options?: StackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>>;
  async tryExecute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | StackCallOptions<T, F>,
    third?: StackCallOptions<T, F>,
  ): Promise<StackOutcome<T, F>> {
    const options = typeof second === 'function' ? third : second;
    const call = this.#callOf(first, second, options);
    const begun = this.#begin(call);
    const settling = this.#settle(call, 'kind' in begun ? begun : await begun);
    const outcome = 'kind' in settling ? settling : await settling;
    if (options === undefined || outcome.kind === 'value' || outcome.kind === 'aborted') {
      return outcome;
    }
    try {
      const error = errorOf(outcome, call.circuit);
      const substitute = await this.#substituteFor(error, options);
      if (substitute === undefined) return outcome;
      this.#substitutes += 1;
      return { kind: 'substitute', ...substitute };
    } catch (error) {
      if (options.signal?.aborted === true) return { kind: 'aborted', reason: error };
      return outcome.kind === 'refused' ? { ...outcome, error } : { kind: 'failure', error };
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
    if (this.#isClosed) return CLOSED_HEALTH;
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

  async close(options?: StackCloseOptions): Promise<void> {
    const { drain, deadlineMs, signal } = parseDrain('stack.close', options);
    const { clock, bulkhead, rateLimiter } = this.#deps;
    this.#isClosed = true;
    const endMs = clock.now() + deadlineMs;
    if (drain) await this.#idle.wait(clock, deadlineMs, signal, () => this.#isIdle());
    this.#retries.end();
    // A slot may be taken by the work of a call that timed out or was aborted.
    const restMs = Math.max(0, Math.floor(endMs - clock.now()));
    await Promise.all([
      bulkhead?.close({ drain, deadlineMs: restMs, signal }),
      rateLimiter?.close(),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #callOf<T>(
    first: string | StackWork<T>,
    second: unknown,
    options: Pick<StackCallOptions<T>, 'signal' | 'onDiscarded'> | undefined,
  ): StackCall<T> {
    const work = checkedWork(first, second, options);
    const circuit = this.#deps.circuits?.get(typeof first === 'string' ? first : NO_KEY);
    const signal = options?.signal;
    const onDiscarded = options?.onDiscarded;
    return { circuit, work, signal, onDiscarded, endMs: undefined, abortWork: undefined };
  }

  /** The first attempt. Synchronous where possible: a refusal costs no promise. */
  #begin<T>(call: StackCall<T>): CallOutcome<T> | Promise<CallOutcome<T>> {
    const { signal } = call;
    const { rateLimiter } = this.#deps;
    this.#calls += 1;
    if (signal?.aborted === true) return { kind: 'aborted', reason: signal.reason };
    if (this.#isClosed) return closedOutcome(this.name);
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

  async #retry<T>(
    call: StackCall<T>,
    outcome: CallOutcome<T>,
    retry: RetryCounters,
  ): Promise<CallOutcome<T>> {
    return this.#counted(await this.#retries.run(call, outcome, retry));
  }

  async #waitForToken(
    rateLimiter: RateLimiter,
    signal: AbortSignal | undefined,
  ): Promise<Refused | Aborted | undefined> {
    try {
      await rateLimiter.acquire(1, { signal });
      return undefined;
    } catch (error) {
      return notStarted('rate-limiter', error, signal, this.name);
    }
  }

  /** Functions of the user that never settle hold the call for `timeoutMs`; then its failure stands. */
  #substituteFor<T, F>(
    error: unknown,
    options: StackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F> | undefined> | undefined {
    const found = this.#deps.fallback.substituteFor(error, options);
    if (!(found instanceof Promise)) return found;
    const { name, clock, timeoutMs } = this.#deps;
    const late = new TimeoutError(`${name}: fallback`, timeoutMs);
    return withDeadline(
      clock,
      timeoutMs,
      options.signal,
      () => late,
      (within) => abortable(found, within),
    ).catch((reason: unknown) => {
      if (reason !== late) throw reason;
      this.#warnOfFallback(`did not settle within ${timeoutMs} ms`);
      return undefined;
    });
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
    if (this.#isClosed) this.#idle.check();
    return outcome;
  }

  #isIdle(): boolean {
    return this.#calls === this.#successes + this.#failures + this.#refusals + this.#aborts;
  }
}
