import type { CircuitBreakerStats } from '../breaker/circuit-breaker.ts';

/** What a circuit counts since it was made. */
export type CircuitCount =
  | 'successCount'
  | 'failureCount'
  | 'neutralCount'
  | 'lateCount'
  | 'slowCount'
  | 'rejectedCount';

const counted = [
  'successCount',
  'failureCount',
  'neutralCount',
  'lateCount',
  'slowCount',
  'rejectedCount',
] as const satisfies readonly CircuitCount[];

/**
 * The counts of a changing set of circuits, summed so that the sums never fall: what a circuit had counted
 * stays in them when it makes room for another. What it counts between its last reading and that moment
 * is lost.
 */
export class CircuitTotals {
  readonly #seen = new WeakMap<object, number[]>();
  readonly #totals: Record<CircuitCount, number> = {
    successCount: 0,
    failureCount: 0,
    neutralCount: 0,
    lateCount: 0,
    slowCount: 0,
    rejectedCount: 0,
  };

  get totals(): Readonly<Record<CircuitCount, number>> {
    return this.#totals;
  }

  add(circuit: object, stats: CircuitBreakerStats): void {
    const seen = this.#seen.get(circuit);
    if (seen === undefined) {
      this.#seen.set(
        circuit,
        counted.map((count) => stats[count]),
      );
      for (const count of counted) this.#totals[count] += stats[count];
      return;
    }
    for (const [index, count] of counted.entries()) {
      this.#totals[count] += stats[count] - (seen[index] ?? 0);
      seen[index] = stats[count];
    }
  }
}
