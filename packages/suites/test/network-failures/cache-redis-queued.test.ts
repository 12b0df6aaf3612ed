import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  GIVEN_UP_MS,
  PATIENT,
  type CacheServer,
  openCacheServer,
  timed,
  untilLost,
} from '../../src/cache/fleet.ts';
import { waitUntil } from '../../src/wait-until.ts';

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

test('what was invalidated while Redis was away is not read from it before Redis knows', async () => {
  const [first, second] = await server.pair({ memory: { maxEntries: 1 } });
  await first.cache.set('key', 'old');
  first.link.faults.set('down');
  await untilLost([first]);
  expect(await first.cache.set('key', 'new')).toMatchObject({ redis: 'queued' });
  // Memory has room for one.
  await first.cache.set('other', 'other');
  expect(first.cache.peek('key')).toBeUndefined();
  await first.link.heal();
  await waitUntil(async () => {
    const answer = await first.cache.get('key');
    expect(answer).toBeUndefined();
    return first.cache.getStats().redis.pending === 0;
  });
  expect(await second.cache.get('key')).toBeUndefined();
  expect((await first.cache.getOrLoad('key', () => 'loaded')).value).toBe('loaded');
});

test('more invalidations than are kept make everything invalid', async () => {
  const [first, second] = await server.pair({ redis: { maxPending: 10 } });
  await first.cache.set('key', 'value');
  await second.cache.get('key');
  first.link.faults.set('down');
  await untilLost([first]);
  for (let at = 0; at < 20; at += 1) await first.cache.delete(`other-${at}`);
  expect(first.cache.getStats().redis.pending).toBeLessThanOrEqual(11);
  await first.link.heal();
  await waitUntil(() => first.cache.getStats().redis.pending === 0);
  await waitUntil(() => second.cache.peek('key') === undefined);
  expect(await second.cache.get('key')).toBeUndefined();
});

test('what is queued when a cache is closed reaches Redis, if it is back in time', async () => {
  const [first, second] = await server.pair({ redis: { drainTimeoutMs: GIVEN_UP_MS } });
  const keys = Array.from({ length: 500 }, (_, at) => `key-${at}`);
  await Promise.all(keys.map((key) => first.cache.set(key, 'old')));
  await first.cache.set('tagged', 'old', { tags: ['t'] });
  for (const key of [...keys, 'tagged']) await second.cache.get(key);
  first.link.faults.set('down');
  await untilLost([first]);
  for (const key of keys) {
    expect(await first.cache.delete(key)).toMatchObject({ redis: 'queued' });
  }
  expect(await first.cache.invalidateTag('t')).toStrictEqual({ redis: 'queued' });
  const closing = first.cache.close();
  await expect(first.cache.delete('other')).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
  await expect(first.cache.invalidateTag('t')).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
  await expect(first.cache.clear()).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
  await first.link.heal();
  expect(await closing).toStrictEqual({ lostInvalidations: 0 });
  await waitUntil(() => [...keys, 'tagged'].every((key) => second.cache.peek(key) === undefined));
  expect(await second.cache.get('tagged')).toBeUndefined();
});

test('a cache that is closed while Redis stays away says how many changes are lost, and does not wait for long', async () => {
  const [first, second] = await server.pair({ redis: { drainTimeoutMs: 200 } });
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  first.link.faults.set('down');
  await untilLost([first]);
  await first.cache.delete('key');
  await first.cache.set('other', 'new');
  const lost = nextEvent(first.cache, 'invalidations-lost');
  const { value, tookMs } = await timed(() => first.cache.close());
  expect(value).toStrictEqual({ lostInvalidations: 2 });
  expect(await lost).toStrictEqual({ count: 2 });
  expect(tookMs).toBeGreaterThanOrEqual(190);
  expect(tookMs).toBeLessThan(GIVEN_UP_MS);
  expect(await first.cache.close()).toStrictEqual({ lostInvalidations: 2 });
});

test('changes that are under way when a cache is closed reach Redis', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  for (const key of ['key', 'other']) await second.cache.get(key);
  const changes = [first.cache.delete('key'), first.cache.set('other', 'new')];
  expect(await first.cache.close()).toStrictEqual({ lostInvalidations: 0 });
  expect(await Promise.all(changes)).toMatchObject([{ redis: 'stored' }, { redis: 'stored' }]);
  await waitUntil(() => second.cache.peek('key') === undefined);
  expect((await second.cache.get('other'))?.value).toBe('new');
});
