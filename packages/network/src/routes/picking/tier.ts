import type { BalancedNode } from '../nodes/balanced-node.ts';
import type { Picker } from './candidates.ts';
import { type HashPick, HashRing } from './hash-ring.ts';

/** With no more nodes than this, calls go to all of them only when the last one fails too. */
const FEW_NODES = 3;

/** The nodes of one locality. */
export class Tier<N> {
  readonly locality: string | undefined;
  readonly members: readonly BalancedNode<N>[];
  readonly #picker: Picker<N>;
  readonly #ring: HashRing<N>;
  inFlight = 0;
  isPanicking = false;
  /** The share of the calls that it can take, from 0 to 1. */
  capacity = 1;
  #wellShare = 1;

  constructor(
    locality: string | undefined,
    members: readonly BalancedNode<N>[],
    picker: Picker<N>,
  ) {
    this.locality = locality;
    this.members = members;
    this.#picker = picker;
    this.#ring = new HashRing(members);
    for (const { inFlight } of members) this.inFlight += inFlight;
  }

  /** Counts the nodes that answer; those that drain are neither well nor ill. */
  measure(spillShare: number): void {
    const counted = this.members.filter(({ state }) => state.kind !== 'draining');
    const well = counted.filter(({ isWell }) => isWell).length;
    this.#wellShare = counted.length === 0 ? 0 : well / counted.length;
    this.capacity = Math.min(1, this.#wellShare / spillShare);
  }

  /**
   * Decides which nodes are active.
   * @param canSpill whether the localities together can take all calls
   */
  activate(panicShare: number, canSpill: boolean): void {
    const counted = this.members.filter(({ state }) => state.kind !== 'draining');
    const limit = counted.length <= FEW_NODES ? 0 : panicShare;
    this.isPanicking =
      !canSpill && panicShare > 0 && counted.length > 0 && this.#wellShare <= limit;
    const active = this.isPanicking ? counted : counted.filter(({ isUsable }) => isUsable);
    for (const member of this.members) member.isActive = false;
    const largest = active.reduce((most, { weight, warmth }) => Math.max(most, weight * warmth), 0);
    for (const node of active) {
      node.isActive = true;
      node.share = (node.weight * node.warmth) / largest;
    }
    this.#picker.reset(active);
    this.#ring.reset(active);
  }

  pick(nowMs: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    return this.#picker.pick(nowMs, exclude);
  }

  /** @param boundedLoad the factor of its share that a node may hold; `Infinity`: any number of calls */
  pickByHash(hash: number, boundedLoad: number, how: HashPick): BalancedNode<N> | undefined {
    return this.#ring.pick(hash, boundedLoad * (this.inFlight + 1), how);
  }

  /** @param change 1 for a call that begins, -1 for one that ends */
  loadChanged(node: BalancedNode<N>, change: 1 | -1): void {
    this.inFlight += change;
    if (node.isActive) this.#picker.loadChanged?.(node);
  }
}
