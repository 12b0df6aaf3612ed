import { expect, test } from '@jest/globals';
import type { NodeOutcome } from '../../src/index.ts';
import { failing, makeCalls, nodesOf, open, stateOf, well } from './fixtures.ts';

test('a node that fails five times in a row gets no further call', () => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  makeCalls(balancer, 20, failing('node-1'));
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
  expect(makeCalls(balancer, 300, well).has('node-1')).toBe(false);
});

test('a node that fails half of its answers is ejected, though never twice in a row', () => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  let calls = 0;
  makeCalls(balancer, 40, (id) => {
    if (id !== 'node-2') return { outcome: 'success' };
    calls += 1;
    return { outcome: calls % 2 === 0 ? 'failure' : 'success' };
  });
  const stats = balancer.getStats().nodes.find(({ id }) => id === 'node-2');
  expect([stats?.state, stats?.reason]).toEqual(['ejected', 'error-share']);
});

test('fewer answers than the minimum eject no node', () => {
  const { balancer } = open({ strategy: 'round-robin' });
  makeCalls(balancer, 12, failing('node-1'));
  expect(stateOf(balancer, 'node-1')).toBe('suspect');
});

test('answers of long ago do not add up to an ejection', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  for (let round = 0; round < 10; round += 1) {
    const before = round * 7;
    makeCalls(balancer, 4, failing(round % 2 === 0 ? 'node-1' : 'none'));
    await clock.advance(10_000 + before);
  }
  expect(balancer.getStats().ejections).toBe(0);
});

test('an answer 429 and an abort are not ill health', () => {
  const { balancer } = open();
  makeCalls(balancer, 100, () => ({ outcome: 'neutral' }));
  expect(balancer.getStats().nodes.map(({ state, failures }) => [state, failures])).toEqual([
    ['healthy', 0],
    ['healthy', 0],
    ['healthy', 0],
  ]);
});

test('a node that is three times slower than the median of the others is ejected within a second', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  const slow = (id: string): { outcome: NodeOutcome; latencyMs: number } => ({
    outcome: 'success',
    latencyMs: id === 'node-3' ? 80 : 20,
  });
  makeCalls(balancer, 40, slow);
  await clock.advance(1_001);
  makeCalls(balancer, 1, slow);
  const stats = balancer.getStats().nodes.find(({ id }) => id === 'node-3');
  expect([stats?.state, stats?.reason]).toEqual(['ejected', 'latency']);
});

test.each([
  ['the others are as slow', () => 80],
  ['it is slower by a few milliseconds only', (id: string) => (id === 'node-3' ? 9 : 1)],
  [
    'two of four are slow, which the median of the others shows',
    (id: string) => (id > 'node-1' ? 80 : 30),
  ],
])('no node is ejected as slow when %s', async (_, latencyOf) => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  const answer = (id: string): { outcome: NodeOutcome; latencyMs: number } => ({
    outcome: 'success',
    latencyMs: latencyOf(id),
  });
  makeCalls(balancer, 40, answer);
  await clock.advance(1_001);
  makeCalls(balancer, 1, answer);
  expect(balancer.getStats().ejections).toBe(0);
});

test('one pause among many answers does not make a node slow', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  let calls = 0;
  const answer = (id: string): { outcome: NodeOutcome; latencyMs: number } => {
    calls += id === 'node-3' ? 1 : 0;
    return { outcome: 'success', latencyMs: id === 'node-3' && calls === 4 ? 2_000 : 20 };
  };
  makeCalls(balancer, 40, answer);
  await clock.advance(1_001);
  makeCalls(balancer, 1, answer);
  expect(balancer.getStats().ejections).toBe(0);
});

test.each([1, 2, 3])('of %i failing nodes the last one is never ejected', (count) => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(count) });
  makeCalls(balancer, 60, () => ({ outcome: 'failure' }));
  const states = balancer.getStats().nodes.map(({ state }) => state);
  expect(states.filter((state) => state === 'ejected')).toHaveLength(count - 1);
  expect(states).toContain('suspect');
});

test.each([2, 3])('of %i nodes the one that answers gets all calls, without panic', (count) => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(count) });
  const bad = nodesOf(count)
    .slice(1)
    .map(({ id }) => id);
  makeCalls(balancer, 60, failing(...bad));
  expect([...makeCalls(balancer, 50, well)]).toEqual([['node-0', 50]]);
  expect(balancer.getStats().isPanicking).toBe(false);
});

test.each([1, 2, 3, 4, 10])(
  'when all of %i nodes fail, all get calls, and the stats say so',
  (count) => {
    const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(count) });
    const events: boolean[] = [];
    balancer.on('panic', ({ isActive }) => events.push(isActive));
    makeCalls(balancer, 30 * count, () => ({ outcome: 'failure' }));
    expect(balancer.getStats().isPanicking).toBe(true);
    expect(events).toEqual([true]);
    const picks = makeCalls(balancer, 20 * count, () => ({ outcome: 'failure' }));
    expect(picks.size).toBe(count);
  },
);

test('with half of the nodes healthy calls go to all nodes, with more than half to the healthy ones', () => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(10) });
  const ill = ['node-0', 'node-1', 'node-2', 'node-3'];
  makeCalls(balancer, 200, failing(...ill));
  expect(makeCalls(balancer, 100, failing(...ill)).size).toBe(6);
  ill.push('node-4');
  makeCalls(balancer, 200, failing(...ill));
  expect(makeCalls(balancer, 100, failing(...ill)).size).toBe(10);
  expect(balancer.getStats().isPanicking).toBe(true);
});

test('after all nodes have failed and are healthy again the first calls are answered, and panic ends', () => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(5) });
  makeCalls(balancer, 200, () => ({ outcome: 'failure' }));
  makeCalls(balancer, 5, well);
  const { isPanicking, healthyNodes } = balancer.getStats();
  expect(isPanicking).toBe(false);
  expect(healthyNodes).toBeGreaterThanOrEqual(3);
});

test('with panicShare 0 and no healthy node left, a pick says so', () => {
  const { balancer } = open({ panicShare: 0, nodes: [] });
  expect(() => balancer.pick()).toThrow(
    expect.objectContaining({
      code: 'NETWORK_NO_HEALTHY_INSTANCES',
      service: 'balancer',
      nodes: 0,
    }),
  );
});

test('an ejected node returns by an answer to a probe, one at a time, never by time alone', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  makeCalls(balancer, 20, failing('node-1'));
  await clock.advance(6_001);
  const probe = balancer.pick();
  expect(probe.node.id).toBe('node-1');
  const others = [balancer.pick(), balancer.pick(), balancer.pick()];
  expect(others.map(({ node }) => node.id)).not.toContain('node-1');
  expect(stateOf(balancer, 'node-1')).toBe('probing');
  probe.settle('neutral');
  expect(stateOf(balancer, 'node-1')).toBe('probing');
  const second = balancer.pick();
  expect(second.node.id).toBe('node-1');
  second.settle('success');
  expect(stateOf(balancer, 'node-1')).toBe('warming');
});

test('a failed probe ejects again, for twice as long', async () => {
  const { balancer, clock } = open({
    strategy: 'round-robin',
    nodes: nodesOf(4),
    random: () => 0.5,
  });
  makeCalls(balancer, 20, failing('node-1'));
  await clock.advance(5_001);
  makeCalls(balancer, 1, failing('node-1'));
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
  await clock.advance(9_900);
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
  await clock.advance(200);
  expect(stateOf(balancer, 'node-1')).toBe('probing');
});

test('a probe that is never settled counts as failed after its timeout', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  makeCalls(balancer, 20, failing('node-1'));
  await clock.advance(6_001);
  expect(balancer.pick().node.id).toBe('node-1');
  await clock.advance(10_001);
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
});

test('an answer to a call from before the ejection restores nothing', async () => {
  const { balancer, clock } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  let early = balancer.pick();
  while (early.node.id !== 'node-1') {
    early.settle('success');
    early = balancer.pick();
  }
  await clock.advance(10);
  makeCalls(balancer, 20, failing('node-1'));
  early.settle('success');
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
});

test.each(['power-of-two', 'round-robin', 'least-connections'] as const)(
  'a returned node gets its share by and by over ten seconds (%s)',
  async (strategy) => {
    const { balancer, clock } = open({ strategy, nodes: nodesOf(4) });
    for (let turn = 0; stateOf(balancer, 'node-1') !== 'ejected'; turn += 1) {
      expect(turn).toBeLessThan(100);
      makeCalls(balancer, 20, failing('node-1'));
      await clock.advance(3_000);
    }
    await clock.advance(80_000);
    makeCalls(balancer, 1, well);
    expect(stateOf(balancer, 'node-1')).toBe('warming');
    const sharesAt: number[] = [];
    for (const stepMs of [1, 5_000, 5_000]) {
      await clock.advance(stepMs);
      const leases = Array.from({ length: 400 }, () => balancer.pick());
      sharesAt.push(leases.filter(({ node }) => node.id === 'node-1').length / 400);
      for (const lease of leases) lease.settle('success', 5);
    }
    const [first = 1, half = 1, whole = 0] = sharesAt;
    expect(first).toBeLessThan(0.1);
    expect(half).toBeGreaterThan(0.1);
    expect(half).toBeLessThan(0.22);
    expect(whole).toBeGreaterThan(0.2);
    expect(stateOf(balancer, 'node-1')).toBe('healthy');
  },
);

test('a slow node is drained at once by picks of the power of two', () => {
  const { balancer } = open();
  makeCalls(balancer, 100, well);
  const slow = (id: string): { outcome: NodeOutcome; latencyMs: number } => ({
    outcome: 'success',
    latencyMs: id === 'node-0' ? 500 : 5,
  });
  expect(makeCalls(balancer, 300, slow).get('node-0') ?? 0).toBeLessThanOrEqual(3);
});

test('a node that refuses quickly is not taken for a fast one', () => {
  const { balancer } = open();
  makeCalls(balancer, 100, well);
  const picks = makeCalls(balancer, 300, (id) =>
    id === 'node-0' ? { outcome: 'failure', latencyMs: 0.1 } : { outcome: 'success', latencyMs: 5 },
  );
  expect(picks.get('node-0') ?? 0).toBeLessThanOrEqual(3);
});

test('a node that holds its calls gets no more of them', () => {
  const { balancer } = open();
  makeCalls(balancer, 100, well);
  let held = 0;
  for (let call = 0; call < 300; call += 1) {
    const lease = balancer.pick();
    if (lease.node.id === 'node-0') held += 1;
    else lease.settle('success', 5);
  }
  expect(held).toBeLessThanOrEqual(3);
});

test('with outlier: false nothing is ejected for its answers', () => {
  const { balancer } = open({ outlier: false, strategy: 'round-robin' });
  makeCalls(balancer, 300, failing('node-1'));
  expect(balancer.getStats().ejections).toBe(0);
});

test('a second settlement of a lease changes nothing', () => {
  const { balancer } = open();
  const lease = balancer.pick();
  lease.settle('success');
  lease.settle('failure');
  const { inFlight, nodes } = balancer.getStats();
  expect(inFlight).toBe(0);
  expect(nodes.reduce((sum, { failures }) => sum + failures, 0)).toBe(0);
});
