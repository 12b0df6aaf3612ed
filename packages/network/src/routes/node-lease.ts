import type { RouteLease, NodeOutcome, RouteNode } from './balancer.ts';
import type { BalancedNode } from './nodes/balanced-node.ts';

/** A lease that can also be given up, when another node has answered first. */
export interface InternalLease<N extends RouteNode> extends RouteLease<N> {
  abandon(): void;
}

interface LeaseOwner<N extends RouteNode> {
  settled(
    lease: NodeLease<N>,
    outcome: NodeOutcome | 'abandoned',
    latencyMs: number | undefined,
  ): void;
}

export class NodeLease<N extends RouteNode> implements InternalLease<N> {
  readonly node: N;
  readonly balanced: BalancedNode<N>;
  readonly beganMs: number;
  readonly #owner: LeaseOwner<N>;
  #isSettled = false;

  constructor(owner: LeaseOwner<N>, balanced: BalancedNode<N>, beganMs: number) {
    this.#owner = owner;
    this.balanced = balanced;
    this.node = balanced.node;
    this.beganMs = beganMs;
  }

  settle(outcome: NodeOutcome, latencyMs?: number): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#owner.settled(this, outcome, latencyMs);
  }

  abandon(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#owner.settled(this, 'abandoned', undefined);
  }
}
