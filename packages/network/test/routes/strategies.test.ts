import { expect, test } from '@jest/globals';
import type { BalancerStrategy, RouteLease } from '../../src/index.ts';
import { failing, makeCalls, nodesOf, open, well } from './fixtures.ts';

function shares(picks: ReadonlyMap<string, number>): number[] {
  const total = [...picks.values()].reduce((sum, count) => sum + count, 0);
  return [...picks]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([, count]) => count / total);
}

test.each<BalancerStrategy>([
  'power-of-two',
  'round-robin',
  'least-connections',
  'consistent-hash',
])('equal nodes get equal shares (%s)', (strategy) => {
  const { balancer } = open({ strategy });
  for (const share of shares(makeCalls(balancer, 3_000, well))) expect(share).toBeCloseTo(1 / 3, 1);
});

test.each<BalancerStrategy>(['power-of-two', 'round-robin', 'consistent-hash'])(
  'weights 1, 2 and 5 give an eighth, a quarter and the rest (%s)',
  (strategy) => {
    const nodes = [1, 2, 5].map((weight, at) => ({ id: `node-${at}`, weight }));
    const { balancer } = open({ strategy, nodes });
    const [first = 0, second = 0, third = 0] = shares(makeCalls(balancer, 8_000, well));
    expect(Math.abs(first - 0.125)).toBeLessThan(0.03);
    expect(Math.abs(second - 0.25)).toBeLessThan(0.03);
    expect(Math.abs(third - 0.625)).toBeLessThan(0.03);
  },
);

test('round robin takes turns, and spreads the turns of a heavy node', () => {
  const nodes = [
    { id: 'a', weight: 2 },
    { id: 'b', weight: 1 },
    { id: 'c', weight: 1 },
  ];
  const { balancer } = open({ strategy: 'round-robin', nodes });
  const turns = Array.from({ length: 16 }, () => balancer.pick().node.id);
  expect(turns.join('')).not.toContain('aaa');
  expect(turns.filter((id) => id === 'a')).toHaveLength(8);
});

test('least connections keeps calls in flight level, also after they end in any order', () => {
  const { balancer } = open({ strategy: 'least-connections', nodes: nodesOf(20) });
  const leases: RouteLease[] = [];
  let most = 0;
  for (let call = 0; call < 1_000; call += 1) {
    leases.push(balancer.pick());
    if (call % 3 === 2) leases.splice((call * 7) % leases.length, 1)[0]?.settle('success', 5);
    const loads = balancer.getStats().nodes.map(({ inFlight }) => inFlight);
    most = call < 20 ? Math.max(...loads) : most;
  }
  expect(most).toBeLessThanOrEqual(2);
  for (let call = 0; call < 60; call += 1) leases.push(balancer.pick());
  const loads = balancer.getStats().nodes.map(({ inFlight }) => inFlight);
  const expected = leases.length / 20;
  expect(Math.max(...loads)).toBeLessThanOrEqual(Math.ceil(expected) + 6);
  for (const lease of leases) lease.settle('success', 5);
  expect(balancer.getStats().inFlight).toBe(0);
});

test('least connections takes weights into account', () => {
  const nodes = [
    { id: 'a', weight: 3 },
    { id: 'b', weight: 1 },
  ];
  const { balancer } = open({ strategy: 'least-connections', nodes });
  for (let call = 0; call < 40; call += 1) balancer.pick();
  const [a, b] = balancer.getStats().nodes;
  expect([a?.inFlight, b?.inFlight]).toEqual([30, 10]);
});

test.each<BalancerStrategy>([
  'power-of-two',
  'round-robin',
  'least-connections',
  'consistent-hash',
])('excluded nodes are not picked, and with all excluded a pick says so (%s)', (strategy) => {
  const { balancer } = open({ strategy, nodes: nodesOf(4) });
  for (const route of [{}, { key: 'k' }]) {
    for (let call = 0; call < 50; call += 1) {
      const { node } = balancer.pick({ ...route, exclude: ['node-0', 'node-3', 'node-1'] });
      expect(node.id).toBe('node-2');
    }
    const exclude = nodesOf(4).map(({ id }) => id);
    expect(() => balancer.pick({ ...route, exclude })).toThrow(/none of its 4 nodes/);
  }
});

const zones = [
  ...nodesOf(10).map(({ id }) => ({ id: `near-${id}`, locality: 'near' })),
  ...nodesOf(10).map(({ id }) => ({ id: `far-${id}`, locality: 'far' })),
];
const nearShare = (picks: ReadonlyMap<string, number>): number => {
  const near = [...picks].filter(([id]) => id.startsWith('near')).map(([, count]) => count);
  return near.reduce((sum, count) => sum + count, 0) / 1_000;
};

test.each([
  ['all calls stay in the nearest locality while 70 % of it are healthy', 3, 1, 1],
  ['half of the nearest locality healthy keeps five calls of seven there', 5, 0.66, 0.77],
  ['without a healthy node in it all calls go to the next locality', 10, 0, 0],
])('%s', (_, illNodes, least, most) => {
  const { balancer } = open({ nodes: zones, localities: ['near', 'far'], strategy: 'round-robin' });
  const ill = zones.slice(0, illNodes).map(({ id }) => id);
  makeCalls(balancer, 2_000, failing(...ill));
  const share = nearShare(makeCalls(balancer, 1_000, failing(...ill)));
  expect(share).toBeGreaterThanOrEqual(least);
  expect(share).toBeLessThanOrEqual(most);
  expect(balancer.getStats().isPanicking).toBe(false);
});

test('a caller in another locality has its own nodes first', () => {
  const { balancer } = open({ nodes: zones, localities: ['near', 'far'] });
  for (let call = 0; call < 50; call += 1) {
    expect(balancer.pick({ locality: 'far' }).node.locality).toBe('far');
    expect(balancer.pick({ locality: 'unknown' }).node.locality).toBe('near');
  }
});

test('the spill of keys is stable: a key keeps its locality while the health stays', () => {
  const { balancer } = open({
    nodes: zones,
    localities: ['near', 'far'],
    strategy: 'consistent-hash',
  });
  const ill = zones.slice(0, 5).map(({ id }) => id);
  makeCalls(balancer, 2_000, failing(...ill));
  const idOf = (key: string): string => {
    const lease = balancer.pick({ key });
    lease.settle('neutral');
    return lease.node.id;
  };
  const keys = Array.from({ length: 200 }, (_, at) => `k${at}`);
  expect(keys.map(idOf)).toEqual(keys.map(idOf));
  expect(new Set(keys.map((key) => idOf(key).split('-')[0]))).toEqual(new Set(['near', 'far']));
});

test('when every locality is ill calls go to all nodes', () => {
  const { balancer } = open({ nodes: zones, localities: ['near', 'far'], strategy: 'round-robin' });
  makeCalls(balancer, 4_000, () => ({ outcome: 'failure' }));
  expect(balancer.getStats().isPanicking).toBe(true);
  expect(makeCalls(balancer, 1_000, () => ({ outcome: 'failure' })).size).toBeGreaterThan(10);
});
