import type { Random } from '@holdfast/foundation';
import type { BalancedNode } from '../nodes/balanced-node.ts';
import { type Picker, isExcluded } from './candidates.ts';

/** Nodes with more calls in flight than this are alike. */
const MAX_LEVEL = 4_095;

/**
 * The node with the fewest calls in flight for its share, without looking at each: nodes of one load are in one
 * list, and a call moves its node to a list nearby. Among equals a random one.
 */
export class LeastConnections<N> implements Picker<N> {
  readonly #random: Random;
  #levels: BalancedNode<N>[][] = [];
  #lowest = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  reset(active: readonly BalancedNode<N>[]): void {
    this.#levels = [];
    this.#lowest = MAX_LEVEL;
    for (const node of active) this.#insert(node);
  }

  pick(_nowMs: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    for (let level = this.#lowest; level < this.#levels.length; level += 1) {
      const nodes = this.#levels[level];
      if (nodes === undefined || nodes.length === 0) continue;
      const from = Math.floor(this.#random() * nodes.length);
      for (let step = 0; step < nodes.length; step += 1) {
        const node = nodes[(from + step) % nodes.length];
        if (node !== undefined && !isExcluded(node.id, exclude)) return node;
      }
    }
    return undefined;
  }

  loadChanged(node: BalancedNode<N>): void {
    if (this.#levelOf(node) === node.level) return;
    const nodes = this.#levels[node.level];
    const last = nodes?.pop();
    if (nodes !== undefined && last !== undefined && last !== node) {
      nodes[node.position] = last;
      last.position = node.position;
    }
    this.#insert(node);
    while (this.#lowest < MAX_LEVEL && (this.#levels[this.#lowest]?.length ?? 0) === 0) {
      this.#lowest += 1;
    }
  }

  #insert(node: BalancedNode<N>): void {
    const level = this.#levelOf(node);
    while (this.#levels.length <= level) this.#levels.push([]);
    const nodes = this.#levels[level];
    node.level = level;
    node.position = nodes?.length ?? 0;
    nodes?.push(node);
    if (level < this.#lowest) this.#lowest = level;
  }

  /** With equal shares, the calls in flight. */
  #levelOf(node: BalancedNode<N>): number {
    const level = Math.floor((node.inFlight + 1) / node.share) - 1;
    return level < MAX_LEVEL ? level : MAX_LEVEL;
  }
}
