import { checkCall } from '../check-call.ts';
import { createEmitter, type Subscribe, type ListNode } from '@holdfast/foundation';
import type { CallOutcome } from '../call-outcome.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { type LateValueOptions, untilAborted } from '../until-aborted.ts';
import {
  type CircuitCallOptions,
  type CircuitBreaker,
  type CircuitBreakerEvents,
  type CircuitPermit,
  type CircuitStateChange,
  type PermitRefusal,
  circuitBreakerEventKinds,
} from './circuit-breaker.ts';
import { Circuit, REFUSED } from './circuit.ts';
import {
  type CircuitBreakerOptions,
  type CircuitRules,
  parseCircuitOptions,
} from './circuit-options.ts';

/**
 * A circuit breaker of one dependency. It starts closed.
 * @throws InvalidOptionError
 */
export function createCircuitBreaker(options?: CircuitBreakerOptions): CircuitBreaker;
export function createCircuitBreaker(
  name: string,
  options?: NameFirst<CircuitBreakerOptions>,
): CircuitBreaker;
export function createCircuitBreaker(
  first?: string | CircuitBreakerOptions,
  second?: NameFirst<CircuitBreakerOptions>,
): CircuitBreaker {
  const options = nameFirst<CircuitBreakerOptions>('createCircuitBreaker', first, second);
  const rules = parseCircuitOptions('createCircuitBreaker', options);
  const emitter = createEmitter<CircuitBreakerEvents>(
    'holdfast:circuit-breaker',
    circuitBreakerEventKinds,
  );
  return new ExecutingCircuit(rules, {
    on: emitter.on,
    stateChanged: (_circuit, change) => emitter.emit('stateChanged', change),
  });
}

/** The owner of a circuit, which emits its events. */
export interface CircuitDeps {
  readonly on: Subscribe<CircuitBreakerEvents>;
  stateChanged(circuit: ExecutingCircuit, change: CircuitStateChange): void;
}

/**
 * The asynchronous edge of a circuit: makes the calls that the circuit admits. In a keyed set it is also its own
 * node in the list of last use.
 */
export class ExecutingCircuit extends Circuit implements CircuitBreaker, ListNode {
  list: object | undefined = undefined;
  previous: this | undefined = undefined;
  next: this | undefined = undefined;
  readonly #host: CircuitDeps;

  constructor(rules: CircuitRules, host: CircuitDeps, key?: string) {
    super(rules, key);
    this.#host = host;
  }

  get on(): Subscribe<CircuitBreakerEvents> {
    return this.#host.on;
  }

  protected override stateChanged(change: CircuitStateChange): void {
    this.#host.stateChanged(this, change);
  }

  execute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: CircuitCallOptions<T> & { readonly signal: AbortSignal },
  ): Promise<T>;
  execute<T>(work: () => T | PromiseLike<T>, options?: CircuitCallOptions<T>): Promise<T>;
  async execute<T>(
    work: (...signals: AbortSignal[]) => T | PromiseLike<T>,
    options?: CircuitCallOptions<T>,
  ): Promise<T> {
    checkCall('breaker.execute', work, options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    const generation = this.admit();
    if (generation === REFUSED) {
      // A rejection one microtask later finds its handler in place, which halves its cost.
      await Promise.resolve();
      throw this.openError();
    }
    if (signal !== undefined) return this.#executeUntilAborted(work, generation, signal, options);
    const startMs = this.startMs();
    let value: T;
    try {
      value = await work();
    } catch (error) {
      this.recordRejection(generation, error, this.elapsedMs(startMs), false);
      throw error;
    }
    this.recordSuccess(generation, this.elapsedMs(startMs));
    return value;
  }

  /** The work of an aborted call may run on: its permit is released with the abort, and its result is not counted. */
  async #executeUntilAborted<T>(
    work: (...signals: AbortSignal[]) => T | PromiseLike<T>,
    generation: number,
    signal: AbortSignal,
    options: LateValueOptions<T> | undefined,
  ): Promise<T> {
    const startMs = this.startMs();
    let value: T;
    try {
      value = await untilAborted(work, signal, options);
    } catch (error) {
      this.recordRejection(generation, error, this.elapsedMs(startMs), hasAborted(signal));
      throw error;
    }
    this.recordSuccess(generation, this.elapsedMs(startMs));
    return value;
  }

  tryExecute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options: CircuitCallOptions<T> & { readonly signal: AbortSignal },
  ): Promise<CallOutcome<T>>;
  tryExecute<T>(
    work: () => T | PromiseLike<T>,
    options?: CircuitCallOptions<T>,
  ): Promise<CallOutcome<T>>;
  async tryExecute<T>(
    work: (...signals: AbortSignal[]) => T | PromiseLike<T>,
    options?: CircuitCallOptions<T>,
  ): Promise<CallOutcome<T>> {
    checkCall('breaker.tryExecute', work, options);
    const signal = options?.signal;
    if (signal?.aborted === true) return { kind: 'aborted', reason: signal.reason };
    const generation = this.admit();
    if (generation === REFUSED) return this.refusedOutcome();
    const startMs = this.startMs();
    let value: T;
    try {
      value = await (signal === undefined ? work() : untilAborted(work, signal, options));
    } catch (error) {
      this.recordRejection(generation, error, this.elapsedMs(startMs), hasAborted(signal));
      return hasAborted(signal)
        ? { kind: 'aborted', reason: signal?.reason }
        : { kind: 'failure', error };
    }
    this.recordSuccess(generation, this.elapsedMs(startMs));
    return { kind: 'value', value };
  }

  tryAcquire(): CircuitPermit | PermitRefusal {
    const generation = this.admit();
    if (generation !== REFUSED) return new Permit(this, generation);
    const { state, retryAfterMs } = this.refusal();
    return retryAfterMs === undefined
      ? { granted: false, state }
      : { granted: false, state, retryAfterMs };
  }
}

class Permit implements CircuitPermit {
  readonly granted = true;
  readonly #circuit: Circuit;
  readonly #generation: number;
  #settled = false;

  constructor(circuit: Circuit, generation: number) {
    this.#circuit = circuit;
    this.#generation = generation;
  }

  success(durationMs?: number): void {
    if (this.#settle()) this.#circuit.recordSuccess(this.#generation, durationMs);
  }

  failure(error: unknown, durationMs?: number): void {
    if (this.#settle()) this.#circuit.recordFailure(this.#generation, error, durationMs);
  }

  release(): void {
    if (this.#settle()) this.#circuit.recordRelease(this.#generation);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    return true;
  }
}

/** A function, because a signal may abort while its call is awaited. */
function hasAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
