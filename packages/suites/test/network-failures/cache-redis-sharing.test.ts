import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { honoursCacheContract } from '@holdfast/cache/contract';
import { createTieredCache } from '@holdfast/cache/redis';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  PATIENT,
  type CacheServer,
  type FleetNode,
  openCacheServer,
  untilSeen,
} from '../../src/cache/fleet.ts';
import { waitUntil } from '../../src/wait-until.ts';

const AGE_MS = 150;

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

const never = (): never => {
  throw new Error('the source is not to be asked');
};

describe('through Redis', () => {
  // What one process has stored is read by another, whose memory has never seen it.
  honoursCacheContract(async () => {
    const [writer, reader] = await server.pair<unknown>();
    return {
      async lookup(key) {
        const found = await reader.cache.get(key);
        if (found === undefined) return { kind: 'miss' };
        return { kind: 'hit', value: found.value, expiresInMs: 0 };
      },
      async set(key, value, options) {
        await writer.cache.set(key, value, options);
        await untilSeen(reader, writer);
      },
      async delete(key) {
        await writer.cache.delete(key);
        await untilSeen(reader, writer);
      },
      async clear() {
        await writer.cache.clear();
        await untilSeen(reader, writer);
      },
    };
  });
});

test('a change is seen by the other caches in moments, and none of them loads the old value again', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  expect((await second.cache.get('key'))?.value).toBe('old');
  expect(await first.cache.set('key', 'new')).toMatchObject({ memory: 'stored', redis: 'stored' });
  await untilSeen(second, first);
  expect(second.cache.peek('key')).toBeUndefined();
  expect(await second.cache.getOrLoad('key', never)).toMatchObject({ value: 'new', from: 'redis' });
});

test('a value that was read before its key was deleted elsewhere is answered, and stored nowhere', async () => {
  const [loading, deleting] = await server.pair();
  const source = Promise.withResolvers<string>();
  const call = loading.cache.getOrLoad('key', () => source.promise);
  await waitUntil(() => loading.cache.getStats().loads === 1);
  expect(await deleting.cache.delete('key')).toMatchObject({ redis: 'stored' });
  source.resolve('old');
  expect(await call).toMatchObject({ value: 'old', from: 'source' });
  await untilSeen(loading, deleting);
  expect(await deleting.cache.get('key')).toBeUndefined();
  expect(await loading.cache.get('key')).toBeUndefined();
});

test('a late answer is refused by Redis itself when its process has not heard of the change', async () => {
  const [loading, deleting] = await server.pair({ redis: { leaseMs: 10_000, timeoutMs: 10_000 } });
  const source = Promise.withResolvers<string>();
  const call = loading.cache.getOrLoad('key', () => source.promise, { tags: ['a'] });
  await waitUntil(() => loading.cache.getStats().loads === 1);
  // Everything that Redis says is late; what it is told is not.
  loading.link.faults.set('latency', { direction: 'toClient', latencyMs: 400 });
  await deleting.cache.invalidateTag('a');
  source.resolve('old');
  await call;
  await waitUntil(() => loading.cache.getStats().redis.discarded === 1);
  expect(await deleting.cache.get('key')).toBeUndefined();
});

test('a value that is set while another process loads it stays', async () => {
  const [loading, setting] = await server.pair();
  const source = Promise.withResolvers<string>();
  const call = loading.cache.getOrLoad('key', () => source.promise);
  await waitUntil(() => loading.cache.getStats().loads === 1);
  await setting.cache.set('key', 'set');
  source.resolve('old');
  await call;
  await untilSeen(loading, setting);
  expect((await loading.cache.get('key'))?.value).toBe('set');
  expect((await setting.cache.get('key'))?.value).toBe('set');
});

test('an invalidated tag makes entries of all caches invalid, and stays invalid when Redis evicts it', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('a', 'a', { tags: ['x', 'y'] });
  await first.cache.set('b', 'b', { tags: ['y'] });
  await first.cache.set('c', 'c');
  for (const key of ['a', 'b', 'c']) expect((await second.cache.get(key))?.value).toBe(key);
  expect(await second.cache.invalidateTag('x')).toStrictEqual({ redis: 'stored' });
  await untilSeen(first, second);
  expect(first.cache.peek('a')).toBeUndefined();
  expect(await first.cache.get('a')).toBeUndefined();
  expect((await first.cache.get('b'))?.value).toBe('b');
  const evicted = await server.admin.keys('*:tag:*');
  await server.admin.del(...evicted);
  const [third] = await server.open(1, { redis: { namespace: namespaceOf(evicted) } });
  expect(await third?.cache.get('b')).toBeUndefined();
  expect((await third?.cache.get('c'))?.value).toBe('c');
});

test('clear empties all caches by one number, and a load that began before it stores nothing', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  const source = Promise.withResolvers<string>();
  const call = second.cache.getOrLoad('other', () => source.promise);
  await waitUntil(() => second.cache.getStats().loads === 1);
  expect(await first.cache.clear()).toStrictEqual({ redis: 'stored' });
  source.resolve('old');
  await call;
  await untilSeen(second, first);
  for (const { cache } of [first, second]) {
    for (const key of ['key', 'other']) expect(await cache.get(key)).toBeUndefined();
  }
});

test('an entry that was damaged at any place is never answered as another value; it is deleted and counted', async () => {
  const [writer, reader] = await server.pair();
  await writer.cache.set('key', 'the value', { tags: ['t'] });
  const [name = ''] = await server.admin.keys('*:entry:=key');
  const whole = await server.admin.getBuffer(name);
  if (whole === null) throw new TypeError('the entry was to be there');
  // The line before has versions alone: damaged, they make the entry invalid at most.
  const recordAt = whole.indexOf('\n');
  for (let at = 0; at < whole.length; at += 1) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await server.admin.set(name, damaged);
    const found = await reader.cache.get('key');
    expect([undefined, 'the value']).toContain(found?.value);
    if (found !== undefined) await forgetIn(reader, writer);
    else if (at >= recordAt) await untilGone(name);
  }
  expect(reader.cache.getStats().redis.damaged).toBe(whole.length - recordAt);
  for (const bytes of [Buffer.alloc(0), Buffer.from('H1'), whole.subarray(0, -1)]) {
    await server.admin.set(name, bytes);
    expect(await reader.cache.get('key')).toBeUndefined();
    await untilGone(name);
  }
  await server.admin.lpush(name, 'a list');
  expect(await reader.cache.get('key')).toBeUndefined();
  await untilGone(name);
  // Under the name of another key it is not the value of that one.
  await server.admin.set(name.replace('=key', '=other'), whole);
  expect(await reader.cache.get('other')).toBeUndefined();
});

test('a cache of another schema neither reads nor deletes an entry', async () => {
  const [writer] = await server.open(1, { redis: { namespace: 'shared', schema: 'a' } });
  const [other] = await server.open(1, { redis: { namespace: 'shared', schema: 'b' } });
  await writer?.cache.set('key', 'value');
  expect(await other?.cache.get('key')).toBeUndefined();
  const [again] = await server.open(1, { redis: { namespace: 'shared', schema: 'a' } });
  expect((await again?.cache.get('key'))?.value).toBe('value');
});

test('keys that differ only in halves of surrogate pairs are different keys', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('\ud83c', 'one');
  await first.cache.set('\ud83d', 'two');
  expect((await second.cache.get('\ud83c'))?.value).toBe('one');
  expect((await second.cache.get('\ud83d'))?.value).toBe('two');
});

test('an entry read from Redis has the rest of its time, by the clock of Redis', async () => {
  const [writer, reader] = await server.pair({ memory: { ttlJitter: 0 }, staleMs: 0 });
  await writer.cache.set('key', 'value', { ttlMs: 2_000 });
  await sleep(systemClock, AGE_MS);
  const found = await reader.cache.get('key');
  expect(found).toMatchObject({ from: 'redis', isStale: false });
  expect(found?.ageMs).toBeGreaterThan(AGE_MS / 2);
  await waitUntil(async () => (await reader.cache.get('key')) === undefined);
  expect(await server.admin.keys('*:entry:=key*')).toStrictEqual([]);
});

test('keys that are stored at once expire at many times, the same ones in Redis as in memory', async () => {
  const [{ cache }] = await server.pair({ staleMs: 0 });
  const keys = Array.from({ length: 50 }, (_, at) => `many-${at}`);
  await Promise.all(keys.map((key) => cache.set(key, key, { ttlMs: 100_000 })));
  const names = await server.admin.keys('*:entry:=many-*');
  const times = await Promise.all(names.map((name) => server.admin.pttl(name)));
  expect(times).toHaveLength(50);
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(5_000);
  expect(Math.max(...times)).toBeLessThanOrEqual(100_000);
  expect(Math.min(...times)).toBeGreaterThan(85_000);
});

test('a value that would not come back is refused before anything has changed', async () => {
  const [first, second] = await server.pair<unknown>();
  await first.cache.set('key', 'old');
  const refused = first.cache.set('key', { call: () => 1 });
  await expect(refused).rejects.toMatchObject({ code: 'CACHE_VALUE_NOT_KEPT' });
  expect((await first.cache.get('key'))?.value).toBe('old');
  expect((await second.cache.get('key'))?.value).toBe('old');
});

test('a drifted entry is replaced here and invalid everywhere', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  expect(await first.cache.verify('key', () => 'new')).toStrictEqual({ kind: 'drifted' });
  await untilSeen(second, first);
  expect(second.cache.peek('key')).toBeUndefined();
  expect(first.cache.peek('key')?.value).toBe('new');
  expect((await second.cache.getOrLoad('key', () => 'new')).value).toBe('new');
});

test('options of Redis out of range are refused by name', () => {
  const client = server.admin;
  for (const [redis, field] of [
    [undefined, 'redis.client'],
    [{ client: {}, namespace: 'a' }, 'redis.client'],
    [{ client }, 'redis.namespace'],
    [{ client, namespace: 'a{b}' }, 'redis.namespace'],
    [{ client, namespace: 'a', timeoutMs: 0 }, 'redis.timeoutMs'],
    [{ client, namespace: 'a', leaseMs: Infinity }, 'redis.leaseMs'],
    [{ client, namespace: 'a', ttl: 5 }, 'redis.ttl'],
  ] as const) {
    expect(() => Reflect.apply(createTieredCache, undefined, [{ redis }])).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field }),
    );
  }
});

function namespaceOf(names: readonly string[]): string {
  return /\{(.*)\}/.exec(names[0] ?? '')?.[1] ?? '';
}

/** Reading fills the memory of the reader; the next read is to ask Redis again. */
async function forgetIn(reader: FleetNode, writer: FleetNode): Promise<void> {
  await server.admin.xadd(await streamOf(), '*', 'k', 'set', 'n', 'other', 'v', '=key');
  await untilSeen(reader, writer);
}

function untilGone(name: string): Promise<void> {
  return waitUntil(async () => (await server.admin.exists(name)) === 0);
}

async function streamOf(): Promise<string> {
  const [name = ''] = await server.admin.keys('*:entry:=key');
  return name.replace('entry:=key', 'stream');
}

test('who comes after an invalidation by tag joins no load from before it, in any process', async () => {
  const [first, second] = await server.pair();
  const old = Promise.withResolvers<string>();
  const before = first.cache.getOrLoad('key', () => old.promise, { tags: ['t'] });
  await waitUntil(() => first.cache.getStats().loads === 1);
  const invalidated = nextEvent(second.cache, 'invalidated');
  expect(await first.cache.invalidateTag('t')).toStrictEqual({ redis: 'stored' });
  await invalidated;
  const after = [first, second].map(({ cache }) =>
    cache.getOrLoad('key', () => 'new', { tags: ['t'] }),
  );
  old.resolve('old');
  expect((await before).value).toBe('old');
  for (const answer of await Promise.all(after)) expect(answer.value).toBe('new');
  for (const { cache } of [first, second]) expect((await cache.get('key'))?.value).toBe('new');
});

test('a load that another process runs is not joined after that one has told of an invalidation', async () => {
  const [first, second] = await server.pair();
  const old = Promise.withResolvers<string>();
  const before = first.cache.getOrLoad('key', () => old.promise, { tags: ['t'] });
  await waitUntil(() => first.cache.getStats().loads === 1);
  const noticed = nextEvent(first.cache, 'invalidated');
  await second.cache.invalidateTag('t');
  await noticed;
  const after = first.cache.getOrLoad('key', () => 'new', { tags: ['t'] });
  old.resolve('old');
  await before;
  expect((await after).value).toBe('new');
});
