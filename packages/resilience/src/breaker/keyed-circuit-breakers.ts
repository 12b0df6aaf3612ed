import {
  type Emitter,
  createEmitter,
  integer,
  InvalidOptionError,
  LinkedList,
  type Subscribe,
  parseOptions,
} from '@holdfast/foundation';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { ExecutingCircuit, type CircuitDeps } from './executing-circuit.ts';
import {
  type CircuitBreaker,
  type CircuitBreakerEvents,
  type CircuitStateChange,
  circuitBreakerEventKinds,
} from './circuit-breaker.ts';
import {
  type CircuitBreakerOptions,
  type CircuitRules,
  parseCircuitOptions,
} from './circuit-options.ts';

/** Options of `createKeyedCircuitBreakers`: those of each circuit, and how many there may be. */
export interface KeyedCircuitBreakersOptions extends CircuitBreakerOptions {
  /** The most circuits that are kept. Default 10 000. */
  maxKeys?: number;
}

/** How many circuits a keyed set has, read at any time. */
export interface KeyedCircuitBreakersStats {
  /** Circuits kept now. */
  readonly keys: number;
  /** Those among them that are not closed. */
  readonly notClosed: number;
  /** Closed circuits that were evicted. */
  readonly evictedCount: number;
  /** Circuits that were not kept, because no kept circuit was closed. */
  readonly untrackedCount: number;
}

/** A circuit for each key, created with its first use. All share their options and listeners. */
export interface KeyedCircuitBreakers {
  readonly on: Subscribe<CircuitBreakerEvents>;
  /**
   * The circuit of a key. When `maxKeys` are kept, the least recently used closed circuit is evicted; one that is
   * not closed never is. If none is closed, the caller gets a circuit that is not kept: no key is refused for the
   * failures of others.
   * @throws InvalidOptionError for a key that is no string
   */
  get(key: string): CircuitBreaker;
  /** Every circuit that is kept, for metrics. */
  kept(): Iterable<CircuitBreaker>;
  /** The circuits that are not closed, for a health check. */
  notClosed(): readonly CircuitBreaker[];
  /** Closes and drops every circuit. */
  reset(): void;
  getStats(): KeyedCircuitBreakersStats;
}

const schema = { maxKeys: integer({ min: 1, max: 10_000_000, default: 10_000 }) };

/**
 * A circuit for each key, such as a host or a tenant, made at its first call.
 * @throws InvalidOptionError
 */
export function createKeyedCircuitBreakers(
  options?: KeyedCircuitBreakersOptions,
): KeyedCircuitBreakers;
export function createKeyedCircuitBreakers(
  name: string,
  options?: NameFirst<KeyedCircuitBreakersOptions>,
): KeyedCircuitBreakers;
export function createKeyedCircuitBreakers(
  first?: string | KeyedCircuitBreakersOptions,
  second?: NameFirst<KeyedCircuitBreakersOptions>,
): KeyedCircuitBreakers {
  const owner = 'createKeyedCircuitBreakers';
  const options = nameFirst<KeyedCircuitBreakersOptions>(owner, first, second);
  const { maxKeys, ...given } = options ?? {};
  const resolved = parseOptions(owner, schema, { maxKeys });
  const rules = parseCircuitOptions(owner, given);
  return new CircuitsByKey(rules, resolved.maxKeys);
}

/** The circuits of a keyed set, with the methods that a stack needs. */
export class CircuitsByKey implements KeyedCircuitBreakers, CircuitDeps {
  readonly on: Subscribe<CircuitBreakerEvents>;
  readonly #rules: CircuitRules;
  readonly #maxKeys: number;
  readonly #emitter: Emitter<CircuitBreakerEvents> = createEmitter(
    'holdfast:circuit-breaker',
    circuitBreakerEventKinds,
  );
  readonly #kept = new Map<string, ExecutingCircuit>();
  /**
   * The closed circuits in the order of their last use; the first is evicted next. A list of its own, because
   * moving a key to the end of a map costs several times as much.
   */
  readonly #closed = new LinkedList<ExecutingCircuit>();
  /** The other circuits, so that an eviction need not search for a closed one. */
  readonly #notClosed = new Set<ExecutingCircuit>();
  #latest: ExecutingCircuit | undefined;
  #evicted = 0;
  #untracked = 0;

  constructor(rules: CircuitRules, maxKeys: number) {
    this.#rules = rules;
    this.#maxKeys = maxKeys;
    this.on = this.#emitter.on;
  }

  get(key: string): ExecutingCircuit {
    const latest = this.#latest;
    if (latest !== undefined && latest.key === key) return latest;
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
    this.#emitter.emit('stateChanged', change);
  }

  /** Moves a circuit between the two collections after a change of state, also one that was evicted before. */
  #sort(circuit: ExecutingCircuit, key: string): void {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept !== circuit) return;
    this.#kept.delete(key);
    this.#closed.remove(circuit);
    this.#notClosed.delete(circuit);
    if (this.#notClosed.size >= this.#maxKeys) return;
    this.#evict();
    this.#kept.set(key, circuit);
    if (circuit.state === 'closed') this.#closed.append(circuit);
    else this.#notClosed.add(circuit);
  }

  #create(key: string): ExecutingCircuit {
    if (typeof key !== 'string') {
      throw new InvalidOptionError('circuitBreakers.get', 'key', key, 'a string');
    }
    const circuit = new ExecutingCircuit(this.#rules, this, key);
    if (this.#notClosed.size >= this.#maxKeys) {
      this.#untracked += 1;
      return circuit;
    }
    this.#evict();
    this.#kept.set(key, circuit);
    this.#closed.append(circuit);
    return circuit;
  }

  #evict(): void {
    if (this.#kept.size < this.#maxKeys) return;
    const oldest = this.#closed.shift();
    if (oldest?.key === undefined) return;
    this.#kept.delete(oldest.key);
    this.#evicted += 1;
  }
}
