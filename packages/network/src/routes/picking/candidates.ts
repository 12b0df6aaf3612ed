import type { Random } from '@holdfast/foundation';
import type { BalancedNode } from '../nodes/balanced-node.ts';

/** Chooses among the active nodes of a tier for a call without a key. */
export interface Picker<N> {
  /** The active nodes are others, or have other shares. */
  reset(active: readonly BalancedNode<N>[]): void;
  /** `undefined` when each active node is excluded. */
  pick(nowMs: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined;
  /** The calls in flight of an active node have changed. */
  loadChanged?(node: BalancedNode<N>): void;
}

/** What the expected time of a call depends on besides the node. */
export interface LatencyScale {
  readonly decayMs: number;
  /** Of all nodes together. */
  typicalMs: number;
}

export function isExcluded(id: string, exclude: readonly string[] | undefined): boolean {
  return exclude !== undefined && exclude.includes(id);
}

/** How many times cheaper the second node has to be: equal nodes get equal shares, whatever the noise. */
const CLEARLY_CHEAPER = 0.8;

/**
 * Of two random nodes, the one whose expected time is shorter. The first is drawn by weight and is kept unless
 * the second is clearly better, so that weights hold while the nodes are equally fast.
 * Algorithm: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"; the cost is that of Finagle's
 * "Peak EWMA".
 */
export class PowerOfTwo<N> implements Picker<N> {
  readonly #random: Random;
  readonly #scale: LatencyScale;
  #active: readonly BalancedNode<N>[] = [];
  /** Running sums of the shares; `undefined` when all are equal. */
  #sums: Float64Array | undefined;

  constructor(random: Random, scale: LatencyScale) {
    this.#random = random;
    this.#scale = scale;
  }

  reset(active: readonly BalancedNode<N>[]): void {
    this.#active = active;
    this.#sums = sumsOfShares(active);
  }

  pick(nowMs: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    const active = this.#active;
    const count = active.length;
    const first = active[this.#draw()];
    if (first === undefined || count === 1) {
      return first === undefined || isExcluded(first.id, exclude) ? undefined : first;
    }
    const other = Math.floor(this.#random() * (count - 1));
    const second = active[other] === first ? active[count - 1] : active[other];
    if (exclude !== undefined && exclude.length > 0) {
      const isFirstOut = exclude.includes(first.id);
      const isSecondOut = second === undefined || exclude.includes(second.id);
      if (isFirstOut || isSecondOut) {
        if (isFirstOut && isSecondOut) return this.#cheapest(nowMs, exclude);
        return isFirstOut ? second : first;
      }
    }
    if (second === undefined) return first;
    const { decayMs, typicalMs } = this.#scale;
    const limitMs = first.costMs(nowMs, decayMs, typicalMs) * CLEARLY_CHEAPER;
    return second.costMs(nowMs, decayMs, typicalMs) < limitMs ? second : first;
  }

  #draw(): number {
    const sums = this.#sums;
    if (sums === undefined) return Math.floor(this.#random() * this.#active.length);
    const wanted = this.#random() * (sums.at(-1) ?? 0);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((sums[middle] ?? 0) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #cheapest(nowMs: number, exclude: readonly string[]): BalancedNode<N> | undefined {
    const { decayMs, typicalMs } = this.#scale;
    let best: BalancedNode<N> | undefined;
    let bestMs = Infinity;
    for (const node of this.#active) {
      if (exclude.includes(node.id)) continue;
      const costMs = node.costMs(nowMs, decayMs, typicalMs);
      if (costMs >= bestMs) continue;
      best = node;
      bestMs = costMs;
    }
    return best;
  }
}

function sumsOfShares<N>(active: readonly BalancedNode<N>[]): Float64Array | undefined {
  const share = active[0]?.share;
  if (active.every((node) => node.share === share)) return undefined;
  let sum = 0;
  return Float64Array.from(active, (node) => (sum += node.share));
}

/**
 * One after the other; a node of half the largest share is passed over every second time. The turns of a node are
 * spread evenly.
 */
export class RoundRobin<N> implements Picker<N> {
  #active: readonly BalancedNode<N>[] = [];
  #next = 0;

  reset(active: readonly BalancedNode<N>[]): void {
    this.#active = active;
  }

  pick(_nowMs: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    const active = this.#active;
    if (active.every(({ id }) => isExcluded(id, exclude))) return undefined;
    while (true) {
      if (this.#next >= active.length) this.#next = 0;
      const node = active[this.#next];
      this.#next += 1;
      if (node === undefined) return undefined;
      if (isExcluded(node.id, exclude)) continue;
      node.credit += node.share;
      // The sum of tenths is not quite one.
      if (node.credit < 1 - 1e-9) continue;
      node.credit -= 1;
      return node;
    }
  }
}
