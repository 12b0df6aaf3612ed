import { expect, test } from '@jest/globals';
import type { AddressSet, AddressesChanged, NodeStateChange } from '../../src/index.ts';
import { createBalancer } from '../../src/index.ts';
import { failing, makeCalls, nodesOf, open, stateOf, well } from './fixtures.ts';

test('nodes that join and leave change nothing that is known of the others', () => {
  const { balancer } = open({ strategy: 'round-robin', nodes: nodesOf(4) });
  makeCalls(balancer, 20, failing('node-1'));
  const held = balancer.pick({ exclude: ['node-0', 'node-1', 'node-2'] });
  const changes: unknown[] = [];
  balancer.on('nodesChanged', (change) => changes.push(change));
  balancer.setNodes([...nodesOf(3), { id: 'new' }]);
  expect(changes).toEqual([{ balancer: 'balancer', added: ['new'], removed: ['node-3'] }]);
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
  const picks = makeCalls(balancer, 60, well);
  expect([...picks.keys()].toSorted()).toEqual(['new', 'node-0', 'node-2']);
  held.settle('success');
  expect(balancer.getStats().inFlight).toBe(0);
});

test('an empty pool may fill later', () => {
  const { balancer } = open({ nodes: [] });
  expect(() => balancer.pick()).toThrow(/its pool is empty; add nodes/);
  balancer.setNodes(nodesOf(1));
  expect(balancer.pick().node.id).toBe('node-0');
});

test('a draining node gets no new calls, and is drained when its calls have ended', async () => {
  const { balancer } = open({ strategy: 'round-robin' });
  const leases = [balancer.pick(), balancer.pick(), balancer.pick()];
  let isDrained = false;
  const drained = balancer.drain('node-1').then(() => (isDrained = true));
  expect(makeCalls(balancer, 50, well).has('node-1')).toBe(false);
  await Promise.resolve();
  expect(isDrained).toBe(false);
  for (const lease of leases) lease.settle('success');
  await drained;
  expect(stateOf(balancer, 'node-1')).toBe('draining');
  balancer.resume('node-1');
  expect(stateOf(balancer, 'node-1')).toBe('warming');
});

test('the wait for a drained node ends with the signal, and with close', async () => {
  const { balancer } = open({ nodes: nodesOf(1) });
  balancer.pick();
  const stopping = new AbortController();
  const first = balancer.drain('node-0', { signal: stopping.signal });
  const second = balancer.drain('node-0');
  stopping.abort(new Error('enough'));
  await expect(first).rejects.toThrow('enough');
  await balancer.close();
  await expect(second).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
  expect(() => balancer.pick()).toThrow(/the balancer balancer is closed/);
  await balancer.close();
});

test('draining all nodes leaves none to pick, panic or not', async () => {
  const { balancer } = open();
  for (const { id } of nodesOf(3)) await balancer.drain(id);
  expect(() => balancer.pick()).toThrow(/none of its 3 nodes may take the call/);
});

/** As a resolver: the addresses of one name. */
function source(addresses: readonly string[]) {
  const listeners = new Set<(change: AddressesChanged) => void>();
  let revision = 1;
  const set = (): AddressSet => ({
    hostname: 'api.test',
    addresses: addresses.map((address) => ({ address, family: 4 })),
    validUntilMs: 0,
    revision,
  });
  return {
    watched: 0,
    listeners,
    resolve: async (): Promise<AddressSet> => set(),
    watch(): () => void {
      this.watched += 1;
      return () => void (this.watched -= 1);
    },
    on: (_kind: 'changed', listener: (change: AddressesChanged) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    move(next: readonly string[], hostname = 'api.test'): void {
      addresses = next;
      revision += 1;
      for (const listener of listeners) listener({ hostname, added: [], removed: [], revision });
    },
  };
}

test('a balancer that follows a name has the addresses of the name as its nodes', async () => {
  const { balancer } = open({ nodes: [] });
  const names = source(['10.0.0.1', '10.0.0.2']);
  const stop = await balancer.follow(names, {
    hostname: 'API.test.',
    nodeOf: (address) => ({ id: `${address}:80` }),
  });
  const ids = (): string[] => balancer.getStats().nodes.map(({ id }) => id);
  expect([ids(), names.watched]).toEqual([['10.0.0.1:80', '10.0.0.2:80'], 1]);
  const changed = new Promise((resolve) => void balancer.on('nodesChanged', resolve));
  names.move(['10.0.0.9'], 'other.test');
  names.move(['10.0.0.2', '10.0.0.3']);
  await changed;
  expect(ids()).toEqual(['10.0.0.2:80', '10.0.0.3:80']);
  stop();
  stop();
  expect([names.listeners.size, names.watched]).toEqual([0, 0]);
});

test('closing a balancer ends its subscription; a name that is not found is the error', async () => {
  const { balancer } = open({ nodes: [] });
  const names = source(['10.0.0.1']);
  const nodeOf = (address: string): { id: string } => ({ id: address });
  const lost = { ...names, resolve: () => Promise.reject(new Error('ENOTFOUND')) };
  await expect(balancer.follow(lost, { hostname: 'api.test', nodeOf })).rejects.toThrow(
    'ENOTFOUND',
  );
  expect(names.listeners.size).toBe(0);
  await balancer.follow(names, { hostname: 'api.test', nodeOf });
  await balancer.close();
  expect(names.listeners.size).toBe(0);
});

test('a node that fails its health checks is ejected, and returns when it passes them', async () => {
  const ill = new Set(['node-1']);
  const { balancer, clock } = open({
    healthCheck: { check: ({ id }) => !ill.has(id), intervalMs: 1_000 },
    slowStartMs: 1_000,
  });
  const changes: NodeStateChange[] = [];
  balancer.on('stateChanged', (change) => changes.push(change));
  await clock.advance(3_000);
  expect(changes).toMatchObject([{ node: 'node-1', to: 'ejected', reason: 'health-check' }]);
  expect(makeCalls(balancer, 60, well).has('node-1')).toBe(false);
  ill.clear();
  await clock.advance(3_000);
  expect(changes.slice(1).map(({ to }) => to)).toContain('warming');
  await balancer.close();
  expect(clock.pendingTimers).toBe(0);
});

test('health checks are bounded in number and time, and aborted by close', async () => {
  let running = 0;
  let most = 0;
  const signals: AbortSignal[] = [];
  const { balancer, clock } = open({
    nodes: nodesOf(40),
    healthCheck: {
      check: (_, signal) => {
        running += 1;
        most = Math.max(most, running);
        signals.push(signal);
        signal.addEventListener('abort', () => void (running -= 1));
        return new Promise(() => {});
      },
      intervalMs: 1_000,
      timeoutMs: 500,
      maxConcurrent: 5,
    },
  });
  await clock.advance(10_000);
  expect(most).toBe(5);
  await balancer.close();
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('health checks are jittered: those of many nodes do not come at once', async () => {
  const at: number[] = [];
  const { balancer, clock } = open({
    nodes: nodesOf(50),
    healthCheck: { check: () => void at.push(clock.now()), intervalMs: 1_000, maxConcurrent: 100 },
  });
  await clock.advance(1_500);
  await balancer.close();
  expect(new Set(at).size).toBeGreaterThan(50);
});

test('a node that answers its checks but fails its calls stays ejected until its time has come', async () => {
  const { balancer, clock } = open({
    strategy: 'round-robin',
    nodes: nodesOf(4),
    healthCheck: { check: () => true, intervalMs: 100 },
  });
  makeCalls(balancer, 20, failing('node-1'));
  await clock.advance(3_500);
  expect(stateOf(balancer, 'node-1')).toBe('ejected');
  await clock.advance(3_500);
  expect(stateOf(balancer, 'node-1')).toBe('warming');
  await balancer.close();
});

test.each<[string, object, string]>([
  ['weight 0', { nodes: [{ id: 'a', weight: 0 }] }, 'nodes[0].weight'],
  ['a negative weight', { nodes: [{ id: 'a' }, { id: 'b', weight: -1 }] }, 'nodes[1].weight'],
  ['a broken weight', { nodes: [{ id: 'a', weight: 1.5 }] }, 'nodes[0].weight'],
  ['a node twice', { nodes: [{ id: 'a' }, { id: 'b' }, { id: 'a' }] }, 'nodes[2].id'],
  ['an empty id', { nodes: [{ id: '' }] }, 'nodes[0].id'],
  ['no node at all', { nodes: undefined }, 'nodes'],
  ['null as a node', { nodes: [null] }, 'nodes[0]'],
  ['an unknown strategy', { strategy: 'pick_first' }, 'strategy'],
  ['an unknown option', { stratgy: 'round-robin' }, 'stratgy'],
  ['an unknown rule', { outlier: { interval: 5 } }, 'outlier.interval'],
  ['a time with a unit as text', { outlier: { ejectionMs: '5s' } }, 'outlier.ejectionMs'],
  ['a time as an object', { outlier: { windowMs: { seconds: 1 } } }, 'outlier.windowMs'],
  ['a share over 1', { panicShare: 50 }, 'panicShare'],
  ['an ejection over its longest', { outlier: { ejectionMs: 70_000 } }, 'outlier.ejectionMs'],
  ['outlier: true', { outlier: true }, 'outlier'],
  ['a hedge as text', { hedgeAfterMs: 'soon' }, 'hedgeAfterMs'],
  ['no check', { healthCheck: {} }, 'healthCheck.check'],
  ['a locality twice', { localities: ['a', 'a'] }, 'localities'],
])('bad options are refused by name: %s', (_, options, field) => {
  const create = (): unknown =>
    Reflect.apply(createBalancer, undefined, [{ nodes: nodesOf(3), ...options }]);
  expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
});

test('bad arguments are refused by name', async () => {
  const { balancer } = open();
  const pick = (): unknown => Reflect.apply(balancer.pick.bind(balancer), undefined, [{ key: 7 }]);
  expect(pick).toThrow(/pick: key must be a string/);
  expect(() => balancer.setNodes([{ id: 'a', weight: 0 }])).toThrow(/setNodes: nodes\[0\]\.weight/);
  expect(() => balancer.resume('none')).toThrow(/resume: id must be the id of a node/);
  await expect(balancer.drain('none')).rejects.toThrow(/drain: id must be the id of a node/);
  const options = { idempotant: true, idempotent: true };
  const run = balancer.run(() => 1, options);
  await expect(run).rejects.toThrow(/run: idempotant must be one of the known options/);
});
