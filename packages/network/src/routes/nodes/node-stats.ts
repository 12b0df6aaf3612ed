import type { NodeStats } from '../balancer.ts';
import type { BalancedNode } from './balanced-node.ts';

export function statsOf<N>(node: BalancedNode<N>, nowMs: number, decayMs: number): NodeStats {
  const { id, state, locality, weight, warmth, inFlight, picks, successes, failures } = node;
  return {
    id,
    state: state.kind,
    ...(state.kind === 'ejected' && { reason: state.reason }),
    ...(locality !== undefined && { locality }),
    weight,
    warmth,
    inFlight,
    picks,
    successes,
    failures,
    ejections: node.ejections,
    latencyMs: node.latencyMs(nowMs, decayMs),
  };
}
