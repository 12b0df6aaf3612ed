import type { BalancedNode } from '../nodes/balanced-node.ts';
import { isExcluded } from './candidates.ts';
import { fractionOf, mixHash } from '../nodes/key-hash.ts';
import { SLOTS, maglevTable } from './maglev.ts';

/** Up to here each node is looked at for each key; above, a table is. */
const MAX_RENDEZVOUS_NODES = 32;
/** More ejected nodes in a row than this is unlikely outside of panic; then any other node will do. */
const MAX_PROBES = 256;
const WARMTH = 0x3c_6e_f3_72;

/** What is known of a member without a look at it: it takes no calls, has to be looked at, or takes all. */
const TAKES_NONE = 0;
const TAKES_SOME = 1;
const TAKES_ALL = 2;

export interface HashPick {
  readonly exclude?: readonly string[];
  /** Default true. */
  readonly mayProbe?: boolean;
}

/**
 * Gives each key a node: by rendezvous for up to 32 nodes, by a table of Maglev for more. Ejected nodes keep their
 * place: their keys go on to the next node, all others stay, and nothing is made anew. Keys depend on the ids
 * and weights alone, so that all processes with the same nodes agree.
 */
export class HashRing<N> {
  readonly #members: readonly BalancedNode<N>[];
  readonly #haveEqualWeights: boolean;
  #table: Uint16Array | undefined;
  /** By member, so that a pick reads no node but its own. */
  readonly #takes: Uint8Array;
  /** Of all that a node with a share of 1 takes. */
  #part = 1;
  /** Of the pick that is made: the calls in flight that a node with a share of 1 may hold. */
  #perShare = Infinity;
  #haveEqualShares = true;
  #active: readonly BalancedNode<N>[] = [];

  /** @param members in any order */
  constructor(members: readonly BalancedNode<N>[]) {
    this.#members = members.toSorted((left, right) => (left.id < right.id ? -1 : 1));
    const weight = members[0]?.weight;
    this.#haveEqualWeights = members.every((member) => member.weight === weight);
    this.#takes = new Uint8Array(members.length);
  }

  /** The active nodes are others, or have other shares. */
  reset(active: readonly BalancedNode<N>[]): void {
    this.#active = active;
    const shares = active.reduce((sum, { share }) => sum + share, 0);
    this.#part = 1 / Math.max(shares, 1e-9);
    this.#haveEqualShares = active.every(({ share }) => share === 1);
    for (const [at, { isActive, warmth, state }] of this.#members.entries()) {
      if (isActive) this.#takes[at] = warmth < 1 ? TAKES_SOME : TAKES_ALL;
      else this.#takes[at] = state.kind === 'probing' ? TAKES_SOME : TAKES_NONE;
    }
  }

  /** @param bound the calls in flight that all nodes together may hold; `Infinity`: any number */
  pick(hash: number, bound: number, how: HashPick): BalancedNode<N> | undefined {
    this.#perShare = bound * this.#part;
    const chosen =
      this.#members.length <= MAX_RENDEZVOUS_NODES
        ? this.#rendezvous(hash, how)
        : this.#maglev(hash, how);
    return chosen ?? this.#any(hash, how.exclude);
  }

  #accepts(at: number, hash: number, how: HashPick): boolean {
    const takes = this.#takes[at];
    const node = this.#members[at];
    if (takes === TAKES_NONE || node === undefined) return false;
    if (!node.isActive)
      return how.mayProbe !== false && node.awaitsProbe && !isExcluded(node.id, how.exclude);
    const limit = this.#haveEqualShares ? this.#perShare : this.#perShare * node.share;
    if (node.inFlight >= limit) return false;
    if (takes === TAKES_SOME && fractionOf(hash ^ node.hash, WARMTH) >= node.warmth) return false;
    return how.exclude === undefined || !how.exclude.includes(node.id);
  }

  /**
   * The node with the highest score for the key.
   * Algorithm: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates"; with weights the score is
   * that of Schindelhauer and Schomaker, "Weighted Distributed Hash Tables".
   */
  #rendezvous(hash: number, how: HashPick): BalancedNode<N> | undefined {
    let best: BalancedNode<N> | undefined;
    let bestScore = -1;
    for (let at = 0; at < this.#members.length; at += 1) {
      const node = this.#members[at];
      if (node === undefined) break;
      const mixed = mixHash(hash ^ node.hash) >>> 0;
      const score = this.#haveEqualWeights
        ? mixed
        : -node.weight / Math.log((mixed + 0.5) / 4_294_967_296);
      if (score <= bestScore || !this.#accepts(at, hash, how)) continue;
      best = node;
      bestScore = score;
    }
    return best;
  }

  #maglev(hash: number, how: HashPick): BalancedNode<N> | undefined {
    const table = (this.#table ??= maglevTable(this.#members));
    let slot = (hash >>> 0) % SLOTS;
    for (let probe = 0; probe < MAX_PROBES; probe += 1) {
      const at = table[slot] ?? 0;
      if (this.#accepts(at, hash, how)) return this.#members[at];
      // Each slot of a node has another neighbor, so that its keys are spread over many nodes.
      slot = slot + 1 < SLOTS ? slot + 1 : 0;
    }
    return undefined;
  }

  #any(hash: number, exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    const count = this.#active.length;
    for (let step = 0; step < count; step += 1) {
      const node = this.#active[((hash >>> 0) + step) % count];
      if (node !== undefined && !isExcluded(node.id, exclude)) return node;
    }
    return undefined;
  }
}
