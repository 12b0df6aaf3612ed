import type { CallingCircuit } from '../breaker/calling-circuit.ts';
import type { CircuitBreaker } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakers } from '../breaker/keyed-circuit-breakers.ts';
import { sleep } from '../clock.ts';
import { InvalidOptionError } from '../errors.ts';
import type { Aborted, Execution, Failed, Refused } from '../execution.ts';
import type { Substitutes } from '../fallback.ts';
import type { Home } from '../guarded-call.ts';
import type { RateLimiter } from '../rate-limiter.ts';
import { RetryCourse, type RetryLedger } from '../retry-course.ts';
import type { ResilienceStack, StackOutcome, StackStats, StackWork } from './resilience-stack.ts';
import { StackAttempts, type StackCall, unstarted } from './stack-attempts.ts';
import { type HealthState, judgeHealth } from './stack-health.ts';
import { type ResilienceStackOptions, type StackParts, makeStackParts } from './stack-options.ts';

/** @throws InvalidOptionError */
export function createResilienceStack(options: ResilienceStackOptions = {}): ResilienceStack {
  return new FusedStack(makeStackParts(options));
}

/** The key of calls without one. */
const NO_KEY = '';

/**
 * All policies in one place instead of around each other, because a promise and a signal for each of them
 * would cost more than what they decide.
 */
class FusedStack implements ResilienceStack {
  readonly #parts: StackParts;
  readonly #attempts: StackAttempts;
  #calls = 0;
  #successes = 0;
  #failures = 0;
  #refusals = 0;
  #aborts = 0;
  #substitutes = 0;

  constructor(parts: StackParts) {
    this.#parts = parts;
    this.#attempts = new StackAttempts(parts);
  }

  get name(): string {
    return this.#parts.name;
  }

  execute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: Substitutes<T, F>,
  ): Promise<T | F>;
  execute<T, F = never>(work: StackWork<T>, options?: Substitutes<T, F>): Promise<T | F>;
  async execute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | Substitutes<T, F>,
    third?: Substitutes<T, F>,
  ): Promise<T | F> {
    const options = typeof second === 'function' ? third : second;
    const work = workOf(first, second);
    const circuit = this.#circuitOf(first);
    // Awaited also where nothing is pending: an error thrown one turn later costs half.
    const outcome = await this.#run(circuit, work, options?.signal);
    if (outcome.kind === 'value') return outcome.value;
    if (outcome.kind === 'aborted') throw outcome.reason;
    const error = errorOf(outcome, circuit);
    const substitute = options && (await this.#parts.fallback.substituteFor(error, options));
    if (substitute === undefined) throw error;
    this.#substitutes += 1;
    return substitute.value;
  }

  tryExecute<T, F = never>(
    key: string,
    work: StackWork<T>,
    options?: Substitutes<T, F>,
  ): Promise<StackOutcome<T, F>>;
  tryExecute<T, F = never>(
    work: StackWork<T>,
    options?: Substitutes<T, F>,
  ): Promise<StackOutcome<T, F>>;
  async tryExecute<T, F>(
    first: string | StackWork<T>,
    second?: StackWork<T> | Substitutes<T, F>,
    third?: Substitutes<T, F>,
  ): Promise<StackOutcome<T, F>> {
    const options = typeof second === 'function' ? third : second;
    const work = workOf(first, second);
    const circuit = this.#circuitOf(first);
    const ran = this.#run(circuit, work, options?.signal);
    const outcome = 'kind' in ran ? ran : await ran;
    if (options === undefined || outcome.kind === 'value' || outcome.kind === 'aborted') {
      return outcome;
    }
    try {
      const error = errorOf(outcome, circuit);
      const substitute = await this.#parts.fallback.substituteFor(error, options);
      if (substitute === undefined) return outcome;
      this.#substitutes += 1;
      return { kind: 'substitute', ...substitute };
    } catch (error) {
      return { kind: 'failure', error };
    }
  }

  get circuitBreakers(): KeyedCircuitBreakers | undefined {
    return this.#parts.circuits;
  }

  circuitBreaker(key?: string): CircuitBreaker | undefined {
    return this.#parts.circuits?.get(key ?? NO_KEY);
  }

  getHealthState(): HealthState {
    const { circuits, bulkhead } = this.#parts;
    return judgeHealth(circuits?.getStats(), circuits?.notClosed() ?? [], bulkhead?.getStats());
  }

  getStats(): StackStats {
    const { name, circuits, retry, bulkhead, rateLimiter } = this.#parts;
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
    this.#parts.circuits?.reset();
  }

  async close(): Promise<void> {
    await Promise.all([this.#parts.bulkhead?.close(), this.#parts.rateLimiter?.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #circuitOf<T>(first: string | StackWork<T>): CallingCircuit | undefined {
    return this.#parts.circuits?.get(typeof first === 'string' ? first : NO_KEY);
  }

  /** Does at once what can be done at once: a refusal costs no promise. */
  #run<T>(
    circuit: CallingCircuit | undefined,
    work: StackWork<T>,
    signal: AbortSignal | undefined,
  ): Execution<T> | Promise<Execution<T>> {
    const { rateLimiter } = this.#parts;
    this.#calls += 1;
    if (signal?.aborted === true) {
      return this.#counted({ kind: 'aborted', reason: signal.reason });
    }
    const call: StackCall<T> = { circuit, work, signal, endMs: undefined, stop: undefined };
    if (rateLimiter === undefined || rateLimiter.takeIfFree()) return this.#start(call);
    return this.#startLater(call, rateLimiter);
  }

  async #startLater<T>(call: StackCall<T>, rateLimiter: RateLimiter): Promise<Execution<T>> {
    const refusal = await this.#waitForToken(rateLimiter, call.signal);
    return refusal === undefined ? this.#start(call) : this.#counted(refusal);
  }

  #start<T>(call: StackCall<T>): Execution<T> | Promise<Execution<T>> {
    const { retry } = this.#parts;
    retry?.begin();
    const made = this.#attempts.make(call);
    const refused = 'kind' in made && retry?.options.retriesRefusals !== true;
    return refused ? this.#counted(made) : this.#finish(call, made);
  }

  async #finish<T>(
    call: StackCall<T>,
    made: Execution<T> | Promise<Execution<T>>,
  ): Promise<Execution<T>> {
    const { retry } = this.#parts;
    const outcome = await made;
    stopIfLate(call);
    if (retry === undefined) return this.#counted(outcome);
    if (outcome.kind !== 'value') return this.#counted(await this.#retry(call, outcome, retry));
    retry.succeeded(1);
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
      return unstarted('rate-limiter', error, signal);
    }
  }

  /** Goes on from a first attempt that came to `outcome`. */
  async #retry<T>(
    call: StackCall<T>,
    firstOutcome: Execution<T>,
    retry: RetryLedger,
  ): Promise<Execution<T>> {
    const { clock } = this.#parts;
    let outcome = firstOutcome;
    let course: RetryCourse | undefined;
    while (true) {
      if (outcome.kind === 'value') {
        retry.succeeded(course?.attemptNumber ?? 1);
        return outcome;
      }
      if (outcome.kind === 'aborted') return outcome;
      if (outcome.kind === 'refused' && !retry.options.retriesRefusals) return outcome;
      course ??= new RetryCourse(retry, call.endMs ?? clock.now() + retry.options.timeoutMs);
      const error = errorOf(outcome, call.circuit);
      const step = course.next(error);
      if (!step.again) {
        return step.error === error ? outcome : { kind: 'failure', error: step.error };
      }
      try {
        await sleep(clock, step.delayMs, call.signal);
      } catch (reason) {
        return { kind: 'aborted', reason };
      }
      outcome = await this.#attempts.make(call);
      stopIfLate(call);
    }
  }

  #counted<T>(outcome: Execution<T>): Execution<T> {
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

/** Tells work that is out of time to stop, here, in the context of its own call. */
function stopIfLate(call: Home): void {
  call.stop?.();
  call.stop = undefined;
}

function workOf<T>(first: string | StackWork<T>, second: unknown): StackWork<T>;
function workOf(first: unknown, second: unknown): unknown {
  const work = typeof first === 'string' ? second : first;
  if (typeof work === 'function') return work;
  throw new InvalidOptionError('stack.execute', 'work', work, 'a function');
}

/** What `execute` throws for an outcome that is not a value. */
function errorOf(outcome: Failed | Refused, circuit: CallingCircuit | undefined): unknown {
  return outcome.error ?? (outcome.kind === 'refused' ? circuit?.openError() : undefined);
}
