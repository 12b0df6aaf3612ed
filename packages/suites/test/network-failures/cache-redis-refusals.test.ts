import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createTieredCache } from '@holdfast/cache/redis';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Redis } from 'ioredis';
import {
  PATIENT,
  type CacheServer,
  openCacheServer,
  unmarkedMs,
  untilConnected,
} from '../../src/cache/fleet.ts';
import { watchPace } from '../../src/host-pace.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** Twice the 400 ms that the README promises. */
const UNMARKED_MS = 800;

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

test('a Redis without memory refuses a value and says so; it is served, and no process has the older one unmarked', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  await server.admin.config('SET', 'maxmemory', '1');
  const pace = watchPace();
  expect(await first.cache.set('key', 'new')).toMatchObject({ memory: 'stored', redis: 'refused' });
  expect(first.cache.peek('key')?.value).toBe('new');
  const stale = (await unmarkedMs(second.cache, 'old')) / pace.stop();
  expect(stale).toBeLessThan(UNMARKED_MS);
  expect((await first.cache.getOrLoad('cold', () => 'value')).value).toBe('value');
  expect(await first.cache.delete('key')).toMatchObject({ memory: true, redis: 'stored' });
  await server.admin.config('SET', 'maxmemory', '0');
  await untilConnected([first, second]);
  await waitUntil(async () => (await second.cache.get('key')) === undefined);
  expect(await first.cache.set('key', 'again')).toMatchObject({ redis: 'stored' });
});

test('with the rights of a few commands the cache works; PTTL is not one of them', async () => {
  const commands = '+get +set +del +xadd +xread +evalsha +eval';
  await server.admin.acl(
    'SETUSER',
    'cache',
    'on',
    '>secret',
    '~*',
    'resetchannels',
    '-@all',
    ...commands.split(' '),
  );
  const { host, port } = server.redis;
  const client = new Redis({
    host,
    port,
    username: 'cache',
    password: 'secret',
    lazyConnect: true,
  });
  const caches = [1, 2].map(() =>
    createTieredCache<string>({ redis: { client, namespace: 'rights' }, ttlMs: 60_000 }),
  );
  const [first, second] = caches;
  await waitUntil(() => caches.every((cache) => cache.getStats().redis.isConnected));
  expect(await first?.set('key', 'value', { tags: ['t'] })).toMatchObject({ redis: 'stored' });
  expect(await second?.get('key')).toMatchObject({ value: 'value', from: 'redis', isStale: false });
  expect((await second?.getOrLoad('loaded', () => 'loaded'))?.from).toBe('source');
  await waitUntil(async () => (await first?.get('loaded')) !== undefined);
  expect(await first?.invalidateTag('t')).toStrictEqual({ redis: 'stored' });
  await waitUntil(() => second?.peek('key') === undefined);
  expect(await second?.get('key')).toBeUndefined();
  await Promise.all(caches.map((cache) => cache.close()));
  client.disconnect();
  await server.admin.acl('DELUSER', 'cache');
});

test('a server that only reads leaves changes queued, and what they replace is not read from it', async () => {
  // Memory has room for one.
  const [first, second] = await server.pair({ memory: { maxEntries: 1 } });
  await first.cache.set('key', 'old');
  await server.admin.replicaof('127.0.0.1', '1');
  try {
    expect(await first.cache.set('key', 'new')).toMatchObject({
      memory: 'stored',
      redis: 'queued',
    });
    await first.cache.set('other', 'other');
    let reads = 0;
    await waitUntil(async () => {
      const { hits, misses } = first.cache.getStats().redis;
      expect((await first.cache.get('key'))?.value).not.toBe('old');
      await first.cache.get('absent');
      const after = first.cache.getStats().redis;
      if (after.hits + after.misses > hits + misses) reads += 1;
      return reads === 5;
    });
    expect((await second.cache.getOrLoad('cold', () => 'value')).value).toBe('value');
  } finally {
    await server.admin.replicaof('NO', 'ONE');
  }
  await waitUntil(() => first.cache.getStats().redis.pending === 0);
  await untilConnected([first, second]);
  expect(await second.cache.get('key')).toBeUndefined();
});
