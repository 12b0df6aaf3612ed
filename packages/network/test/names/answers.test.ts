import { expect, test } from '@jest/globals';
import {
  type AddressSet,
  type NameAnswer,
  NameHasNoAddressError,
  NameNotFoundError,
  NameResourcesError,
  NameServersFailedError,
} from '@holdfast/network';
import { found, never, noAddress, openFixture } from './fake-source.ts';

const addressesOf = (set: AddressSet): string[] => set.addresses.map(({ address }) => address);

test('an answer serves until its time to live has passed, and no longer', async () => {
  const { clock, source, resolver } = openFixture({
    'db.test 4': found(10_000, '10.0.0.1'),
    'db.test 6': noAddress,
  });
  const first = await resolver.resolve('db.test');
  expect(first).toEqual({
    hostname: 'db.test',
    addresses: [{ address: '10.0.0.1', family: 4 }],
    validUntilMs: 10_000,
    revision: 1,
  });
  source.scripts.set('db.test 4', found(10_000, '10.0.0.2'));
  await clock.advance(9_999);
  expect(addressesOf(await resolver.resolve('db.test'))).toEqual(['10.0.0.1']);
  expect(source.asked).toEqual(['db.test 4', 'db.test 6']);
  await clock.advance(1);
  expect(addressesOf(await resolver.resolve('db.test'))).toEqual(['10.0.0.2']);
});

test('an answer with a time to live of 0 is shared by the calls that wait for it, and not kept', async () => {
  const { source, resolver } = openFixture({ 'db.test 4': found(0, '10.0.0.1') });
  const calls = Array.from({ length: 100 }, () => resolver.resolve('db.test', { family: 4 }));
  const sets = await Promise.all(calls);
  expect(new Set(sets.flatMap(addressesOf))).toEqual(new Set(['10.0.0.1']));
  expect(source.asked).toHaveLength(1);
  await resolver.resolve('db.test', { family: 4 });
  expect(source.asked).toHaveLength(2);
});

test('a cold name that a hundred callers want is asked once for each family', async () => {
  const { source, resolver } = openFixture({ 'db.test 4': found(1_000, '10.0.0.1') });
  await Promise.all(Array.from({ length: 100 }, () => resolver.resolve('db.test')));
  expect(source.asked).toEqual(['db.test 4', 'db.test 6']);
});

test('floor and cap bound the time to live', async () => {
  const { source, resolver } = openFixture(
    { 'short.test 4': found(0, '10.0.0.1'), 'long.test 4': found(86_400_000, '10.0.0.2') },
    { minTtlMs: 2_000, maxTtlMs: 5_000 },
  );
  expect((await resolver.resolve('short.test', { family: 4 })).validUntilMs).toBe(2_000);
  expect((await resolver.resolve('long.test', { family: 4 })).validUntilMs).toBe(5_000);
  expect(source.asked).toHaveLength(2);
});

test('the shorter one of two families bounds the set', async () => {
  const { resolver } = openFixture({
    'db.test 4': found(9_000, '10.0.0.1'),
    'db.test 6': found(3_000, 'fd00::1'),
  });
  expect((await resolver.resolve('db.test')).validUntilMs).toBe(3_000);
});

test('a name that does not exist is refused at once, kept as long as its zone says, and not longer than the bound', async () => {
  const { clock, source, resolver } = openFixture(
    {
      'no.test 4': { kind: 'not-found', ttlMs: 3_000 },
      'far.test 4': { kind: 'not-found', ttlMs: 9e7 },
    },
    { maxNegativeTtlMs: 4_000 },
  );
  const resolve = (name: string): Promise<AddressSet> => resolver.resolve(name, { family: 4 });
  for (const name of ['no.test', 'no.test', 'far.test']) {
    await expect(resolve(name)).rejects.toThrow(NameNotFoundError);
  }
  expect(source.asked).toHaveLength(2);
  await clock.advance(3_000);
  await expect(resolve('no.test')).rejects.toThrow('does not exist');
  await expect(resolve('far.test')).rejects.toThrow(NameNotFoundError);
  expect(source.asked).toHaveLength(3);
  await clock.advance(1_000);
  await expect(resolve('far.test')).rejects.toThrow(NameNotFoundError);
  expect(source.asked).toHaveLength(4);
});

test('a name without an address of the family says so, also an alias that leads nowhere', async () => {
  const { source, resolver } = openFixture({
    'v4.test 4': found(60_000, '10.0.0.1'),
    'v4.test 6': noAddress,
  });
  await expect(resolver.resolve('v4.test', { family: 6 })).rejects.toThrow(NameHasNoAddressError);
  await expect(resolver.resolve('v4.test', { family: 6 })).rejects.toMatchObject({
    kind: 'no-address',
    hostname: 'v4.test',
  });
  expect(source.asked).toEqual(['v4.test 6']);
});

test('one family that fails leaves the other to answer alone, and is asked again 5 s later', async () => {
  const failure = new NameServersFailedError('db.test', []);
  const { clock, source, resolver } = openFixture({
    'db.test 4': found(60_000, '10.0.0.1'),
    'db.test 6': failure,
  });
  expect(addressesOf(await resolver.resolve('db.test'))).toEqual(['10.0.0.1']);
  await expect(resolver.resolve('db.test', { family: 6 })).rejects.toBe(failure);
  source.scripts.set('db.test 6', found(60_000, 'fd00::1'));
  source.asked.length = 0;
  await clock.advance(4_900);
  expect(addressesOf(await resolver.resolve('db.test'))).toEqual(['10.0.0.1']);
  await clock.advance(200);
  // Nobody waits for it.
  expect(addressesOf(await resolver.resolve('db.test'))).toEqual(['10.0.0.1']);
  await clock.advance(1);
  expect(addressesOf(await resolver.resolve('db.test'))).toHaveLength(2);
  expect(source.asked).toEqual(['db.test 6']);
});

test('one family that is late leaves the other to answer alone after 50 ms, and is heard when it comes', async () => {
  const late = Promise.withResolvers<NameAnswer>();
  for (const [quick, slow, address] of [
    ['db.test 4', 'db.test 6', '10.0.0.1'],
    ['db.test 6', 'db.test 4', 'fd00::1'],
  ] as const) {
    const scripts = { [quick]: found(60_000, address), [slow]: late.promise };
    const { clock, resolver } = openFixture(scripts);
    const call = resolver.resolve('db.test');
    await clock.advance(49);
    expect(await isPending(call)).toBe(true);
    await clock.advance(1);
    expect(addressesOf(await call)).toEqual([address]);
    // Later calls do not wait for it again.
    expect(addressesOf(await resolver.resolve('db.test'))).toEqual([address]);
  }
});

test('a late family changes the set when it comes', async () => {
  const late = Promise.withResolvers<NameAnswer>();
  const { clock, source, resolver } = openFixture({
    'db.test 4': found(60_000, '10.0.0.1'),
    'db.test 6': late.promise,
  });
  const changes: unknown[] = [];
  resolver.on('changed', (event) => changes.push(event));
  await clock.settle(resolver.resolve('db.test'));
  late.resolve(found(60_000, 'fd00::1'));
  await clock.advance(1);
  const set = await resolver.resolve('db.test');
  expect(addressesOf(set)).toEqual(['10.0.0.1', 'fd00::1']);
  expect(set.revision).toBe(2);
  const added = [{ address: 'fd00::1', family: 6 }];
  expect(changes).toEqual([{ hostname: 'db.test', added, removed: [], revision: 2 }]);
  expect(source.asked).toHaveLength(2);
});

const failures = {
  servers: new NameServersFailedError('db.test', ['127.0.0.1:53: SERVFAIL']),
  resources: new NameResourcesError('db.test', { code: 'EMFILE' }),
};

test.each(Object.entries(failures))(
  'while the way to a name fails (%s) its last answer serves with its age, and the name is asked again every 5 s at most',
  async (_kind, failure) => {
    const { clock, source, resolver } = openFixture({ 'db.test 4': found(10_000, '10.0.0.1') });
    const resolve = (): Promise<AddressSet> => resolver.resolve('db.test', { family: 4 });
    const events: unknown[] = [];
    resolver.on('stale', (event) => events.push(event));
    await resolve();
    source.scripts.set('db.test 4', failure);
    await clock.advance(12_000);
    expect((await resolve()).stale).toEqual({ ageMs: 2_000, cause: failure });
    expect(source.asked).toHaveLength(2);
    for (let second = 0; second < 4; second += 1) {
      await clock.advance(1_000);
      expect((await resolve()).stale?.ageMs).toBe(3_000 + 1_000 * second);
    }
    expect(source.asked).toHaveLength(2);
    expect(events).toHaveLength(1);
    source.scripts.set('db.test 4', found(10_000, '10.0.0.2'));
    await clock.advance(1_000);
    const healed = await resolve();
    expect(addressesOf(healed)).toEqual(['10.0.0.2']);
    expect(healed.stale).toBeUndefined();
  },
);

test('failures are never kept as an answer: the next call asks again', async () => {
  const { source, resolver } = openFixture({ 'db.test 4': failures.resources });
  for (let call = 1; call <= 3; call += 1) {
    await expect(resolver.resolve('db.test', { family: 4 })).rejects.toMatchObject({
      kind: 'resources',
    });
    expect(source.asked).toHaveLength(call);
  }
});

test('an expired answer serves after a short wait when no newer one comes, and not after its bound', async () => {
  const options = { staleMs: 30_000, staleWaitMs: 200 };
  const scripts = { 'db.test 4': found(10_000, '10.0.0.1') };
  const { clock, source, resolver } = openFixture(scripts, options);
  const resolve = (): Promise<AddressSet> =>
    resolver.resolve('db.test', { family: 4, timeoutMs: 1_000 });
  await resolve();
  source.scripts.set('db.test 4', never);
  await clock.advance(10_000);
  const call = resolve();
  await clock.advance(199);
  expect(await isPending(call)).toBe(true);
  await clock.advance(1);
  expect((await call).stale?.ageMs).toBe(200);
  // Others do not wait again for the same question.
  expect((await resolve()).stale?.ageMs).toBe(200);
  await clock.advance(29_801);
  await expect(clock.settle(resolve())).rejects.toMatchObject({
    kind: 'timeout',
    timeoutMs: 1_000,
  });
});

test('that a name does not exist counts at once, unless expired answers are to outlast it', async () => {
  for (const staleOnNxdomain of [false, true]) {
    const { clock, source, resolver } = openFixture(
      { 'db.test 4': found(10_000, '10.0.0.1') },
      { staleOnNxdomain },
    );
    await resolver.resolve('db.test', { family: 4 });
    source.scripts.delete('db.test 4');
    await clock.advance(10_000);
    const call = resolver.resolve('db.test', { family: 4 });
    const outcome = await call.then(
      ({ stale }) => stale?.cause,
      (error: unknown) => error,
    );
    expect(outcome).toBeInstanceOf(NameNotFoundError);
    expect(await call.then(addressesOf, () => [])).toEqual(staleOnNxdomain ? ['10.0.0.1'] : []);
  }
});

test('a name asked for twice is renewed at 80 % of its time to live; one asked for once is not', async () => {
  const { clock, source, resolver } = openFixture({
    'hot.test 4': found(10_000, '10.0.0.1'),
    'cold.test 4': found(10_000, '10.0.0.2'),
  });
  const family = 4;
  await resolver.resolve('hot.test', { family });
  await resolver.resolve('hot.test', { family });
  await resolver.resolve('cold.test', { family });
  source.asked.length = 0;
  await clock.advance(7_999);
  expect(source.asked).toEqual([]);
  await clock.advance(1);
  expect(source.asked).toEqual(['hot.test 4']);
  await clock.advance(3_000);
  expect((await resolver.resolve('hot.test', { family })).validUntilMs).toBe(18_000);
  expect(source.asked).toEqual(['hot.test 4']);
  // Asked for once since, so it is not renewed for ever.
  await clock.advance(60_000);
  expect(source.asked).toEqual(['hot.test 4']);
});

test('a watched name is renewed though nobody asks for it, and its change is an event with a revision', async () => {
  const { clock, source, resolver } = openFixture({
    'db.test 4': found(1_000, '10.0.0.1', '10.0.0.2'),
    'db.test 6': noAddress,
  });
  const changes: unknown[] = [];
  resolver.on('changed', (event) => changes.push(event));
  const release = resolver.watch('db.test');
  await clock.advance(900);
  source.scripts.set('db.test 4', found(1_000, '10.0.0.2', '10.0.0.3'));
  await clock.advance(1_000);
  expect(changes).toEqual([
    {
      hostname: 'db.test',
      added: [{ address: '10.0.0.3', family: 4 }],
      removed: [{ address: '10.0.0.1', family: 4 }],
      revision: 2,
    },
  ]);
  release();
  release();
  const before = source.asked.length;
  await clock.advance(60_000);
  expect(source.asked.length - before).toBeLessThanOrEqual(1);
});

test('the same addresses in another order are no change', async () => {
  const { clock, source, resolver } = openFixture({
    'db.test 4': found(1_000, '10.0.0.1', '10.0.0.2'),
  });
  const changes: unknown[] = [];
  resolver.on('changed', (event) => changes.push(event));
  await resolver.resolve('db.test', { family: 4 });
  source.scripts.set('db.test 4', found(1_000, '10.0.0.2', '10.0.0.1'));
  await clock.advance(1_000);
  expect((await resolver.resolve('db.test', { family: 4 })).revision).toBe(1);
  expect(changes).toEqual([]);
});

async function isPending(work: Promise<unknown>): Promise<boolean> {
  const mark = {};
  return (await Promise.race([work, Promise.resolve(mark)])) === mark;
}
