import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { seededRandom } from '@holdfast/foundation';
import {
  type Balancer,
  type BalancerOptions,
  type NodeOutcome,
  type RouteNode,
  createBalancer,
} from '../../src/index.ts';

export function nodesOf(count: number): RouteNode[] {
  return Array.from({ length: count }, (_, at) => ({ id: `node-${at}` }));
}

export interface Opened {
  readonly balancer: Balancer;
  readonly clock: FakeClock;
}

export function open(options: Partial<BalancerOptions> = {}): Opened {
  const clock = createFakeClock();
  const balancer = createBalancer({
    nodes: nodesOf(3),
    random: seededRandom(7),
    clock,
    ...options,
  });
  return { balancer, clock };
}

/** Makes calls one after the other; each node answers by the given outcome and latency. */
export function makeCalls(
  balancer: Balancer,
  count: number,
  answer: (id: string) => { outcome: NodeOutcome; latencyMs?: number },
): Map<string, number> {
  const picks = new Map<string, number>();
  for (let call = 0; call < count; call += 1) {
    const lease = balancer.pick();
    const { outcome, latencyMs = 5 } = answer(lease.node.id);
    lease.settle(outcome, latencyMs);
    picks.set(lease.node.id, (picks.get(lease.node.id) ?? 0) + 1);
  }
  return picks;
}

export const well = (): { outcome: NodeOutcome } => ({ outcome: 'success' });

export function failing(...ids: readonly string[]): (id: string) => { outcome: NodeOutcome } {
  return (id) => ({ outcome: ids.includes(id) ? 'failure' : 'success' });
}

export function stateOf(balancer: Balancer, id: string): string | undefined {
  return balancer.getStats().nodes.find((node) => node.id === id)?.state;
}
