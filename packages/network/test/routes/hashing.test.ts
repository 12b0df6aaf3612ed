import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type Balancer, createBalancer } from '../../src/index.ts';
import { makeCalls, failing, nodesOf, open, well } from './fixtures.ts';

const SEED = 20_261_130;
const keys = Array.from({ length: 6_000 }, (_, at) => `user:${at}`);

function nodeOfEach(balancer: Balancer): string[] {
  return keys.map((key) => {
    const lease = balancer.pick({ key });
    lease.settle('neutral');
    return lease.node.id;
  });
}

function movedShare(before: readonly string[], after: readonly string[], left?: string): number {
  const moved = after.filter((id, at) => id !== before[at] && before[at] !== left).length;
  return moved / keys.length;
}

function countsOf(ids: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.values()];
}

test.each([
  [3, 1.1],
  [32, 1.35],
  [33, 1.35],
  [100, 1.5],
])('keys are spread over %i nodes, none with more than %d times its share', (count, bound) => {
  const { balancer } = open({ strategy: 'consistent-hash', nodes: nodesOf(count) });
  const counts = countsOf(nodeOfEach(balancer));
  expect(counts).toHaveLength(count);
  expect(Math.max(...counts)).toBeLessThan((bound * keys.length) / count);
});

test.each([5, 32, 34, 100])(
  'one of %i nodes that leaves or joins moves few other keys',
  (count) => {
    const { balancer } = open({ strategy: 'consistent-hash', nodes: nodesOf(count) });
    const before = nodeOfEach(balancer);
    balancer.setNodes(nodesOf(count).filter(({ id }) => id !== 'node-2'));
    expect(movedShare(before, nodeOfEach(balancer), 'node-2')).toBeLessThan(0.05);
    balancer.setNodes(nodesOf(count));
    expect(nodeOfEach(balancer)).toEqual(before);
  },
);

test.each([5, 32, 33, 100, 300])(
  'an ejected one of %i nodes moves its own keys only, to many others',
  (count) => {
    const { balancer } = open({ strategy: 'consistent-hash', nodes: nodesOf(count) });
    const before = nodeOfEach(balancer);
    makeCalls(balancer, 0, well);
    const failed = before[0] ?? '';
    for (let call = 0; call < 5; call += 1) balancer.pick({ key: keys[0] ?? '' }).settle('failure');
    const after = nodeOfEach(balancer);
    expect(movedShare(before, after, failed)).toBe(0);
    expect(after).not.toContain(failed);
    const heirs = new Set(after.filter((_, at) => before[at] === failed));
    expect(heirs.size).toBeGreaterThanOrEqual(Math.min(count - 1, 8));
  },
);

test('two processes with the same nodes in other orders agree on each key', () => {
  for (const count of [7, 60]) {
    const { balancer } = open({ strategy: 'consistent-hash', nodes: nodesOf(count).toReversed() });
    const source = new URL('../../src/index.ts', import.meta.url).href;
    const program = `
      const { createBalancer } = await import(${JSON.stringify(source)});
      const nodes = Array.from({ length: ${count} }, (_, at) => ({ id: 'node-' + at }));
      const balancer = createBalancer({ nodes, strategy: 'consistent-hash' });
      const ids = [];
      for (let at = 0; at < 1000; at += 1) {
        const lease = balancer.pick({ key: 'user:' + at });
        lease.settle('neutral');
        ids.push(lease.node.id);
      }
      process.stdout.write(JSON.stringify(ids));`;
    const other: unknown = JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
    );
    expect(other).toEqual(nodeOfEach(balancer).slice(0, 1_000));
  }
}, 60_000);

test.each([4, 40])('weights hold for keys on %i nodes', (count) => {
  const nodes = nodesOf(count).map((node, at) => ({ id: node.id, weight: at === 0 ? 4 : 1 }));
  const { balancer } = open({ strategy: 'consistent-hash', nodes });
  const ids = nodeOfEach(balancer);
  const share = ids.filter((id) => id === 'node-0').length / ids.length;
  const wanted = 4 / (count + 3);
  expect(Math.abs(share - wanted)).toBeLessThan(0.25 * wanted);
});

test.each([3, 50])(
  'a hot key takes no more than its bounded share of the calls in flight of %i nodes',
  (count) => {
    const { balancer } = open({ strategy: 'consistent-hash', nodes: nodesOf(count) });
    for (let call = 0; call < 10 * count; call += 1) balancer.pick({ key: 'hot' });
    const { nodes } = balancer.getStats();
    expect(Math.max(...nodes.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(
      Math.ceil(1.25 * 10),
    );
  },
);

test('a session stays at its node, however many calls it has in flight, by any strategy', () => {
  for (const strategy of ['least-connections', 'round-robin', 'power-of-two'] as const) {
    const { balancer } = open({ strategy });
    const ids = Array.from({ length: 50 }, () => balancer.pick({ sessionId: 'alice' }).node.id);
    expect(new Set(ids).size).toBe(1);
  }
});

test('a session moves when its node is ejected, and back when it has returned', async () => {
  const { balancer, clock } = open({ strategy: 'least-connections', nodes: nodesOf(4) });
  const home = balancer.pick({ sessionId: 'alice' }).node.id;
  for (let call = 0; call < 5; call += 1) balancer.pick({ sessionId: 'alice' }).settle('failure');
  const away = balancer.pick({ sessionId: 'alice' }).node.id;
  expect(away).not.toBe(home);
  expect(balancer.pick({ sessionId: 'alice' }).node.id).toBe(away);
  await clock.advance(6_001);
  makeCalls(balancer, 1, well);
  await clock.advance(10_001);
  expect(balancer.pick({ sessionId: 'alice' }).node.id).toBe(home);
});

test('no pick is of an ejected node, unless it probes or all are panicking, in 60 seeded stories', async () => {
  for (let story = 0; story < 60; story += 1) {
    const random = seededRandom(SEED + story);
    const strategies = [
      'consistent-hash',
      'least-connections',
      'power-of-two',
      'round-robin',
    ] as const;
    const strategy = strategies[story % 4] ?? 'round-robin';
    const count = 1 + Math.floor(random() * 40);
    const { balancer, clock } = open({ strategy, nodes: nodesOf(count), random });
    const ill = new Set<string>();
    for (let step = 0; step < 60; step += 1) {
      const id = `node-${Math.floor(random() * count)}`;
      if (random() < 0.3) ill.add(id);
      else ill.delete(id);
      if (random() < 0.1) await clock.advance(random() * 4_000);
      const before = balancer.getStats();
      const ejected = new Set(
        before.nodes.filter(({ state }) => state === 'ejected').map((node) => node.id),
      );
      const options = random() < 0.5 ? { key: `key-${step}` } : {};
      const { node } = balancer.pick(options);
      if (!before.isPanicking && ejected.has(node.id)) {
        throw new Error(`seed ${SEED + story}: an ejected node was picked by ${strategy}`);
      }
      makeCalls(balancer, 5, failing(...ill));
    }
    expect(balancer.getStats().nodes).toHaveLength(count);
  }
});

test('a name that objects have of themselves is an id and a key like others', () => {
  const nodes = ['__proto__', 'constructor', 'toString'].map((id) => ({ id }));
  const balancer = createBalancer({ nodes, strategy: 'consistent-hash' });
  expect(nodes.map(({ id }) => id)).toContain(balancer.pick({ key: '__proto__' }).node.id);
});
