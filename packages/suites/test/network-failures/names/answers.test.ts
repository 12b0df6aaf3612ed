import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { DnsFault } from '@holdfast/emulators';
import { systemClock } from '@holdfast/foundation';
import { type AddressSet, type Resolver, NameError } from '@holdfast/network';
import { type NameServersFixture, a, openNameServers } from '../../../src/network/name-servers.ts';

let servers: NameServersFixture;
beforeAll(async () => {
  servers = await openNameServers();
});
beforeEach(() => servers.reset());
afterAll(() => servers.close());

const family = 4;
const addressesOf = (set: AddressSet): string[] => set.addresses.map(({ address }) => address);

async function setFaults(...faults: readonly DnsFault[]): Promise<void> {
  await Promise.all([servers.one, servers.other].map((server) => server.setFaults(faults)));
}

async function queriesOf(name: string): Promise<number> {
  const lists = await Promise.all([servers.one.queries(), servers.other.queries()]);
  return lists.flat().filter((query) => query.name.toLowerCase() === name).length;
}

/** The error that a call ends with. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('Network Resilience DNS failures caches DNS lookups', async () => {
  await servers.serve(a('db.test', '127.0.0.7', 1));
  const resolver = servers.resolver({ staleWaitMs: 100 });
  const first = await resolver.resolve('db.test', { family });
  expect(addressesOf(await resolver.resolve('db.test', { family }))).toEqual(['127.0.0.7']);
  expect(await queriesOf('db.test')).toBe(1);
  // Uses the cached address when the servers are gone and its time has passed, and says so.
  await Promise.all([servers.one.kill(), servers.other.kill()]);
  await untilPast(first.validUntilMs);
  const stale = await resolver.resolve('db.test', { family });
  expect(addressesOf(stale)).toEqual(['127.0.0.7']);
  expect(stale.stale).toMatchObject({ ageMs: expect.any(Number), cause: expect.any(NameError) });
  // Throws where nothing is cached.
  await expect(resolver.resolve('other.test', { family })).rejects.toMatchObject({
    kind: 'servers',
  });
});

test.each<[string, DnsFault[], object]>([
  ['an address', [], { addresses: [{ address: '127.0.0.7', family: 4 }] }],
  ['NXDOMAIN', [{ kind: 'nxdomain' }], { code: 'NETWORK_NAME_NOT_FOUND' }],
  ['an empty answer', [{ kind: 'nodata' }], { code: 'NETWORK_NAME_NO_ADDRESS' }],
  ['SERVFAIL', [{ kind: 'servfail' }], { code: 'NETWORK_NAME_SERVERS' }],
  ['REFUSED', [{ kind: 'refused' }], { code: 'NETWORK_NAME_SERVERS' }],
  ['silence', [{ kind: 'dropped' }], { code: 'NETWORK_NAME_TIMEOUT' }],
  ['a truncated answer', [{ kind: 'truncated' }], { addresses: [{ address: '127.0.0.7' }] }],
  ['a malformed answer', [{ kind: 'malformed' }], { code: 'NETWORK_NAME_SERVERS' }],
  ['a slow answer', [{ kind: 'slow', delayMs: 300 }], { addresses: [{ address: '127.0.0.7' }] }],
  [
    'a changing time to live',
    [{ kind: 'ttlFlip', ttlSeconds: [0, 9] }],
    { addresses: [{ address: '127.0.0.7' }] },
  ],
])('%s is answered as what it is, within the deadline', async (_what, faults, expected) => {
  await servers.serve(a('db.test', '127.0.0.7'));
  await setFaults(...faults);
  const startMs = systemClock.now();
  const call = servers.resolver().resolve('db.test', { family, timeoutMs: 900 });
  expect(await call.catch((error: unknown) => error)).toMatchObject(expected);
  expect(systemClock.now() - startMs).toBeLessThan(900 + 500);
});

test('an alias that leads nowhere or in a circle has no address, which is kept; one that leads to an address has its smallest time', async () => {
  await servers.serve(
    { type: 'SOA', name: 'test', negativeTtlSeconds: 30, ttlSeconds: 60 },
    { type: 'CNAME', name: 'dangling.test', target: 'gone.elsewhere', ttlSeconds: 60 },
    { type: 'CNAME', name: 'loop.test', target: 'loop2.test', ttlSeconds: 60 },
    { type: 'CNAME', name: 'loop2.test', target: 'loop.test', ttlSeconds: 60 },
    { type: 'CNAME', name: 'www.test', target: 'db.test', ttlSeconds: 7 },
    a('db.test', '127.0.0.7', 90),
  );
  const resolver = servers.resolver();
  for (const name of ['dangling.test', 'loop.test']) {
    for (let call = 0; call < 3; call += 1) {
      await expect(resolver.resolve(name, { family })).rejects.toMatchObject({
        code: 'NETWORK_NAME_NO_ADDRESS',
      });
    }
    expect(await queriesOf(name)).toBe(1);
  }
  const nowMs = systemClock.now();
  const { validUntilMs } = await resolver.resolve('www.test', { family });
  expect(validUntilMs - nowMs).toBeGreaterThan(6_000);
  expect(validUntilMs - nowMs).toBeLessThan(7_000 + 1_000);
});

test('that a name does not exist is kept as long as the record of authority of its zone says', async () => {
  await servers.serve(
    { type: 'SOA', name: 'long.test', negativeTtlSeconds: 3_600, ttlSeconds: 3_600 },
    { type: 'SOA', name: 'zero.test', negativeTtlSeconds: 0, ttlSeconds: 3_600 },
  );
  const resolver = servers.resolver();
  for (let call = 0; call < 5; call += 1) {
    await expect(resolver.resolve('a.long.test', { family })).rejects.toThrow('does not exist');
    await expect(resolver.resolve('a.zero.test', { family })).rejects.toThrow('does not exist');
  }
  expect(await queriesOf('a.long.test')).toBe(1);
  expect(await queriesOf('a.zero.test')).toBe(5);
});

test.each(['id', 'port', 'question', 'case'] as const)(
  'a forged answer that differs by its %s is not believed, though it comes first',
  async (by) => {
    await servers.serve(a('database.test', '127.0.0.7'));
    await setFaults({ kind: 'forged', by }, { kind: 'slow', delayMs: 100 });
    const resolver = servers.resolver();
    const set = await resolver.resolve('database.test', { family });
    expect(addressesOf(set)).toEqual(['127.0.0.7']);
    // What comes from another port does not even reach the process.
    expect(resolver.getStats().ignoredAnswers > 0).toBe(by !== 'port');
  },
);

test('an answer that comes after the question was repeated counts', async () => {
  await servers.serve(a('db.test', '127.0.0.7'));
  await setFaults({ kind: 'slow', delayMs: 1_500 });
  const startMs = systemClock.now();
  const set = await servers.resolver().resolve('db.test', { family });
  expect(addressesOf(set)).toEqual(['127.0.0.7']);
  const tookMs = systemClock.now() - startMs;
  expect(tookMs).toBeGreaterThan(1_400);
  // The first answer, not one to a repetition.
  expect(tookMs).toBeLessThan(1_500 + 1_000);
});

test.each(['dead', 'silent', 'frozen'] as const)(
  'a first name server that is %s costs the first call a moment, and the next ones nothing',
  async (how) => {
    await servers.serve(a('a.test', '127.0.0.7'), a('b.test', '127.0.0.8'));
    if (how === 'dead') await servers.one.kill();
    else if (how === 'frozen') await servers.one.freeze();
    else await servers.one.setFaults([{ kind: 'dropped' }]);
    const resolver = servers.resolver();
    const startMs = systemClock.now();
    await resolver.resolve('a.test', { family });
    expect(systemClock.now() - startMs).toBeLessThan(1_000);
    const asked = resolver.getStats().queries;
    await resolver.resolve('b.test', { family });
    // The good server alone was asked.
    expect(resolver.getStats().queries - asked).toBe(1);
    const [first] = resolver.getStats().servers;
    expect(first?.consecutiveFailures).toBeGreaterThan(0);
  },
);

test('a name whose servers are silent does not delay another name', async () => {
  await servers.serve(a('quick.test', '127.0.0.7'));
  const names = Array.from({ length: 150 }, (_, index) => `slow${index}.test`);
  await setFaults(...names.map((name): DnsFault => ({ kind: 'dropped', name })));
  const resolver = servers.resolver();
  const controller = new AbortController();
  const { signal } = controller;
  const slow = names.map((name) => resolver.resolve(name, { family, signal, timeoutMs: 20_000 }));
  const ended = Promise.allSettled(slow);
  const startMs = systemClock.now();
  expect(addressesOf(await resolver.resolve('quick.test', { family }))).toEqual(['127.0.0.7']);
  // 150 names are ahead of it, 64 at a time, each for at most 300 ms.
  expect(systemClock.now() - startMs).toBeLessThan(3_000);
  controller.abort(new Error('enough'));
  await ended;
  expect(resolver.getStats()).toMatchObject({ inFlight: 0, waiting: 0 });
});

test('two thousand names asked for at once are all answered, at most 64 of them in flight', async () => {
  const names = Array.from({ length: 2_000 }, (_, index) => `n${index}.test`);
  await servers.serve(...names.map((name) => a(name, '127.0.0.7')));
  const resolver = servers.resolver({ maxWaiting: 2_000, timeoutMs: 60_000 });
  const calls = names.map((name) => resolver.resolve(name, { family }));
  expect(resolver.getStats().inFlight).toBe(64);
  expect((await Promise.all(calls)).every(({ addresses }) => addresses.length === 1)).toBe(true);
});

test.each<DnsFault>([
  { kind: 'servfail', type: 'AAAA' },
  { kind: 'dropped', type: 'AAAA' },
  { kind: 'slow', delayMs: 4_000, type: 'AAAA' },
  { kind: 'dropped', type: 'A' },
])(
  'one family that fails or hangs leaves the other to answer alone, and is not kept as absent: $kind of $type',
  async (fault) => {
    await servers.serve(a('db.test', '127.0.0.7'), {
      type: 'AAAA',
      name: 'db.test',
      address: '::1',
    });
    await setFaults(fault);
    const resolver = servers.resolver();
    const startMs = systemClock.now();
    const good = fault.type === 'A' ? '::1' : '127.0.0.7';
    expect(addressesOf(await resolver.resolve('db.test'))).toEqual([good]);
    expect(systemClock.now() - startMs).toBeLessThan(1_000);
    await setFaults();
    const failed = fault.type === 'A' ? 4 : 6;
    const again = await resolver.resolve('db.test', { family: failed });
    expect(addressesOf(again)).toEqual([failed === 4 ? '127.0.0.7' : '::1']);
  },
);

test('the order in which a server gives its records is no change of the addresses', async () => {
  const addresses = ['127.0.0.7', '127.0.0.8', '127.0.0.9'];
  await servers.serve(...addresses.map((address) => a('db.test', address, 0)));
  await setFaults({ kind: 'rotated' });
  const resolver = servers.resolver();
  for (let call = 0; call < 6; call += 1) {
    const set = await resolver.resolve('db.test', { family });
    expect(addressesOf(set).toSorted()).toEqual(addresses);
    expect(set.revision).toBe(1);
  }
});

test('pools that watch a name hear within its time to live that its server has moved', async () => {
  await servers.serve(a('db.test', '127.0.0.7', 1));
  const resolver = servers.resolver();
  const release = resolver.watch('db.test');
  await resolver.resolve('db.test', { family });
  const change = nextChange(resolver);
  const startMs = systemClock.now();
  await servers.serve(a('db.test', '127.0.0.8', 1));
  expect(await change).toMatchObject({
    added: [{ address: '127.0.0.8', family: 4 }],
    removed: [{ address: '127.0.0.7', family: 4 }],
    revision: 2,
  });
  expect(systemClock.now() - startMs).toBeLessThan(1_000 + 1_000);
  release();
});

function nextChange(resolver: Resolver): Promise<unknown> {
  return new Promise((resolve) => {
    const stop = resolver.on('changed', (event) => {
      stop();
      resolve(event);
    });
  });
}

function untilPast(atMs: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.schedule(Math.max(0, atMs - systemClock.now()) + 1, resolve);
  });
}

test('a call ends with the reason of its signal, also while its servers are silent', async () => {
  await setFaults({ kind: 'dropped' });
  const reason = new Error('enough');
  const controller = new AbortController();
  const call = failureOf(servers.resolver().resolve('db.test', { signal: controller.signal }));
  controller.abort(reason);
  expect(await call).toBe(reason);
});
