import {
  type Emitter,
  createEmitter,
  integer,
  LinkedList,
  type Subscribe,
  parseOptions,
} from '@holdfast/foundation';
import { ExecutingCircuit, type CircuitDeps } from './executing-circuit.ts';
import type {
  CircuitBreaker,
  CircuitBreakerEvents,
  CircuitStateChange,
} from './circuit-breaker.ts';
import {
  type CircuitBreakerOptions,
  type CircuitRules,
  parseCircuitOptions,
} from './circuit-options.ts';

export interface KeyedCircuitBreakersOptions extends CircuitBreakerOptions {
  /** How many circuits are kept at most. Default 10 000. */
  maxKeys?: number;
}

export interface KeyedCircuitBreakersStats {
  /** Circuits kept now. */
  readonly keys: number;
  /** Those among them that are not closed. */
  readonly notClosed: number;
  /** Closed circuits that had to make room. */
  readonly evictedCount: number;
  /** Circuits handed out but not kept, because all that are kept were not closed. */
  readonly untrackedCount: number;
}

/** A circuit for each key, made on its first use. All of them share their options and listeners. */
export interface KeyedCircuitBreakers {
  readonly on: Subscribe<CircuitBreakerEvents>;
  /**
   * The circuit of a key. When `maxKeys` are kept, the closed circuit that was not asked for the longest
   * makes room; one that is not closed never does. Should none be closed, the caller gets a circuit of
   * its own that is not kept: no key is refused for the failures of others.
   */
  get(key: string): CircuitBreaker;
  /** Every circuit that is kept, for metrics. */
  kept(): Iterable<CircuitBreaker>;
  /** The circuits that are not closed, for a health check. */
  notClosed(): readonly CircuitBreaker[];
  /** Closes every circuit and forgets them all. */
  reset(): void;
  getStats(): KeyedCircuitBreakersStats;
}

const shape = { maxKeys: integer({ min: 1, max: 10_000_000, default: 10_000 }) };

/** @throws InvalidOptionError */
export function createKeyedCircuitBreakers(
  options: KeyedCircuitBreakersOptions = {},
): KeyedCircuitBreakers {
  const { maxKeys, ...given } = options;
  const settled = parseOptions('createKeyedCircuitBreakers', shape, { maxKeys });
  const rules = parseCircuitOptions('createKeyedCircuitBreakers', given);
  return new CircuitsByKey(rules, settled.maxKeys);
}

/** The circuits of a keyed set; typed as what a fused stack needs of them. */
export class CircuitsByKey implements KeyedCircuitBreakers, CircuitDeps {
  readonly on: Subscribe<CircuitBreakerEvents>;
  readonly #rules: CircuitRules;
  readonly #maxKeys: number;
  readonly #announcer: Emitter<CircuitBreakerEvents> = createEmitter('holdfast:circuit-breaker');
  readonly #kept = new Map<string, ExecutingCircuit>();
  /**
   * The closed ones in the order of their last use, the first being the next to make room. A line of its
   * own, because moving a key to the end of a map costs several times as much.
   */
  readonly #closed = new LinkedList<ExecutingCircuit>();
  /** Kept out of that order, so that making room never has to look for a closed one. */
  readonly #notClosed = new Set<ExecutingCircuit>();
  #latest: ExecutingCircuit | undefined;
  #evicted = 0;
  #untracked = 0;

  constructor(rules: CircuitRules, maxKeys: number) {
    this.#rules = rules;
    this.#maxKeys = maxKeys;
    this.on = this.#announcer.on;
  }

  get(key: string): ExecutingCircuit {
    if (this.#latest?.key === key) return this.#latest;
    const known = this.#kept.get(key);
    const circuit = known ?? this.#create(key);
    if (known !== undefined && this.#closed.remove(known)) this.#closed.append(known);
    this.#latest = circuit;
    return circuit;
  }

  *kept(): Generator<ExecutingCircuit> {
    yield* this.#notClosed;
    for (const circuit of this.#kept.values()) if (!this.#notClosed.has(circuit)) yield circuit;
  }

  notClosed(): readonly ExecutingCircuit[] {
    return [...this.#notClosed];
  }

  reset(): void {
    for (const circuit of this.notClosed()) circuit.reset();
    while (this.#closed.size > 0) this.#closed.shift();
    this.#kept.clear();
    this.#latest = undefined;
  }

  getStats(): KeyedCircuitBreakersStats {
    return {
      keys: this.#kept.size,
      notClosed: this.#notClosed.size,
      evictedCount: this.#evicted,
      untrackedCount: this.#untracked,
    };
  }

  stateChanged(circuit: ExecutingCircuit, change: CircuitStateChange): void {
    if (circuit.key !== undefined) this.#sort(circuit, circuit.key);
    this.#announcer.emit('stateChanged', change);
  }

  /** Puts a circuit whose state has changed among its like, also one that had made room before. */
  #sort(circuit: ExecutingCircuit, key: string): void {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept !== circuit) return;
    this.#kept.delete(key);
    this.#closed.remove(circuit);
    this.#notClosed.delete(circuit);
    if (this.#notClosed.size >= this.#maxKeys) return;
    this.#makeRoom();
    this.#kept.set(key, circuit);
    if (circuit.state === 'closed') this.#closed.append(circuit);
    else this.#notClosed.add(circuit);
  }

  #create(key: string): ExecutingCircuit {
    const circuit = new ExecutingCircuit(this.#rules, this, key);
    if (this.#notClosed.size >= this.#maxKeys) {
      this.#untracked += 1;
      return circuit;
    }
    this.#makeRoom();
    this.#kept.set(key, circuit);
    this.#closed.append(circuit);
    return circuit;
  }

  #makeRoom(): void {
    if (this.#kept.size < this.#maxKeys) return;
    const oldest = this.#closed.shift();
    if (oldest?.key === undefined) return;
    this.#kept.delete(oldest.key);
    this.#evicted += 1;
  }
}
