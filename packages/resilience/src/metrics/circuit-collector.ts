import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CircuitBreaker, CircuitBreakerStats } from '../breaker/circuit-breaker.ts';
import type { KeyedCircuitBreakers } from '../breaker/keyed-circuit-breakers.ts';
import { type CircuitCount, CircuitTotals } from './circuit-totals.ts';
import { KeyLabels } from './key-labels.ts';
import type { Collector, Emit, Labels, Metric } from '@holdfast/foundation/metrics';

type StateName = CircuitBreaker['state'];

const stateNumbers: Readonly<Record<StateName, number>> = {
  closed: 0,
  open: 1,
  'half-open': 2,
  isolated: 3,
  'metrics-only': 4,
};
const stateNames = [
  'closed',
  'open',
  'half-open',
  'isolated',
  'metrics-only',
] as const satisfies readonly StateName[];

const gauge = (name: string, help: string, ...labelNames: string[]): Metric => {
  return { name, kind: 'gauge', help, labelNames: ['name', ...labelNames] };
};
const counter = (name: string, help: string, ...labelNames: string[]): Metric => {
  return { name, kind: 'counter', help, labelNames: ['name', ...labelNames] };
};

const state = gauge(
  'circuit_breaker_state',
  'State of a circuit: 0 closed, 1 open, 2 half-open, 3 isolated, 4 metrics-only.',
  'key',
);
const lastStateChange = gauge(
  'circuit_breaker_last_state_change',
  'When the circuit came into its state, in seconds since the Unix epoch.',
  'key',
);
const circuits = gauge(
  'circuit_breaker_circuits',
  'Circuits by state, those without a label of their own included.',
  'state',
);
const results = counter(
  'circuit_breaker_results_total',
  'Calls by what they said about the dependency; late ones came after a change of state.',
  'result',
);
const slow = counter('circuit_breaker_slow_total', 'Calls that took too long.');
const rejected = counter('circuit_breaker_rejected_total', 'Calls that a circuit refused.');
const evicted = counter(
  'circuit_breaker_evicted_total',
  'Closed circuits that had to make room for other keys.',
);
const untracked = counter(
  'circuit_breaker_untracked_total',
  'Circuits handed out but not kept, because all that are kept were not closed.',
);

const resultCounts = [
  ['success', 'successCount'],
  ['failure', 'failureCount'],
  ['neutral', 'neutralCount'],
  ['late', 'lateCount'],
] as const satisfies readonly (readonly [string, CircuitCount])[];

/** How many circuits are read in one turn of the event loop, which that holds for half a millisecond or so. */
const CIRCUITS_A_TURN = 500;

/** Nothing at all where there is no circuit. */
export function collectCircuits(
  breakers: readonly CircuitBreaker[],
  sets: ReadonlyMap<string, KeyedCircuitBreakers>,
  maxKeyLabels: number,
): Collector[] {
  if (breakers.length === 0 && sets.size === 0) return [];
  const metrics = [state, lastStateChange, circuits, results, slow, rejected];
  if (sets.size > 0) metrics.push(evicted, untracked);
  const single = breakers.map((breaker) => new SingleCircuit(breaker));
  const keyed = Array.from(sets, ([name, set]) => new KeyedCircuits(name, set, maxKeyLabels));
  const collect = async (emit: Emit): Promise<void> => {
    for (const circuit of single) circuit.emit(emit);
    for (const circuit of keyed) await circuit.emit(emit);
  };
  return [{ metrics, collect }];
}

/** A circuit that was made by itself. */
class SingleCircuit {
  readonly #breaker: CircuitBreaker;
  readonly #series: CircuitSeries;

  constructor(breaker: CircuitBreaker) {
    this.#breaker = breaker;
    this.#series = new CircuitSeries(breaker.name);
  }

  emit(emit: Emit): void {
    const stats = this.#breaker.getStats();
    this.#series.emitState(emit, this.#series.named, stats);
    this.#series.emitStates(emit, new Map([[stats.state, 1]]));
    this.#series.emitCounts(emit, stats);
  }
}

/** The circuits of a keyed set; the circuit of calls without a key has no key label. */
class KeyedCircuits {
  readonly #set: KeyedCircuitBreakers;
  readonly #series: CircuitSeries;
  readonly #keyLabels: KeyLabels;
  readonly #totals = new CircuitTotals();

  constructor(name: string, set: KeyedCircuitBreakers, maxKeyLabels: number) {
    this.#set = set;
    this.#series = new CircuitSeries(name);
    this.#keyLabels = new KeyLabels(name, maxKeyLabels);
  }

  async emit(emit: Emit): Promise<void> {
    const series = this.#series;
    // Listed first, because using a circuit moves it within the set while this reading waits its turn.
    const kept = Array.from(this.#set.kept());
    const { evictedCount, untrackedCount } = this.#set.getStats();
    const stats = new Map<string, CircuitBreakerStats>();
    const notClosed = new Set<string>();
    const closed: string[] = [];
    const states = new Map<StateName, number>();
    for (const [index, circuit] of kept.entries()) {
      if (index > 0 && index % CIRCUITS_A_TURN === 0) await nextTurn();
      const read = circuit.getStats();
      const { key = '' } = read;
      this.#totals.add(circuit, read);
      states.set(read.state, (states.get(read.state) ?? 0) + 1);
      stats.set(key, read);
      if (key === '') continue;
      if (read.state === 'closed') closed.push(key);
      else notClosed.add(key);
    }
    series.emitState(emit, series.named, stats.get(''));
    for (const [key, labels] of this.#keyLabels.assign(notClosed, closed)) {
      series.emitState(emit, labels, stats.get(key));
    }
    series.emitStates(emit, states);
    series.emitCounts(emit, this.#totals.totals);
    emit(evicted, series.named, evictedCount);
    emit(untracked, series.named, untrackedCount);
  }
}

/** The labels of one name, and what is emitted under them. */
class CircuitSeries {
  readonly named: Labels;
  readonly #byState: readonly (readonly [StateName, Labels])[];
  readonly #byResult: readonly (readonly [CircuitCount, Labels])[];

  constructor(name: string) {
    this.named = { name };
    this.#byState = stateNames.map((stateName) => [stateName, { name, state: stateName }]);
    this.#byResult = resultCounts.map(([result, count]) => [count, { name, result }]);
  }

  /** A circuit that is not kept is closed: whoever asks for it next gets it so. */
  emitState(emit: Emit, labels: Labels, stats: CircuitBreakerStats | undefined): void {
    emit(state, labels, stateNumbers[stats?.state ?? 'closed']);
    if (stats !== undefined) emit(lastStateChange, labels, stats.lastStateChange / 1_000);
  }

  emitStates(emit: Emit, counts: ReadonlyMap<StateName, number>): void {
    for (const [stateName, labels] of this.#byState) {
      emit(circuits, labels, counts.get(stateName) ?? 0);
    }
  }

  emitCounts(emit: Emit, counts: Readonly<Record<CircuitCount, number>>): void {
    for (const [count, labels] of this.#byResult) emit(results, labels, counts[count]);
    emit(slow, this.named, counts.slowCount);
    emit(rejected, this.named, counts.rejectedCount);
  }
}
