import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  PATIENT,
  type CacheServer,
  openCacheServer,
  dropOf,
  untilConnected,
} from '../../src/cache/fleet.ts';
import { waitUntil } from '../../src/wait-until.ts';

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

test('after FLUSHALL, memory is dropped and nothing from before it is stored', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'value');
  await second.cache.get('key');
  const source = Promise.withResolvers<string>();
  const call = second.cache.getOrLoad('loading', () => source.promise);
  await waitUntil(() => second.cache.getStats().loads === 1);
  const dropped = [first, second].map(({ cache }) => dropOf(cache));
  await server.admin.flushall();
  for (const event of await Promise.all(dropped)) expect(event.reason).toBe('epoch-changed');
  source.resolve('from before');
  await call;
  await untilConnected([first, second]);
  for (const { cache } of [first, second]) {
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.get('loading')).toBeUndefined();
  }
});

test('after Redis has started empty, memory is dropped', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'value');
  await second.cache.get('key');
  const dropped = [first, second].map(({ cache }) => dropOf(cache));
  await server.redis.kill();
  await server.redis.start();
  for (const event of await Promise.all(dropped)) expect(event.reason).toBe('epoch-changed');
  await untilConnected([first, second]);
  expect(await second.cache.get('key')).toBeUndefined();
});

test('a server that has forgotten acknowledged writes, as a replica that lagged, makes everything invalid', async () => {
  const [first, second] = await server.pair();
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  const [entry = ''] = await server.admin.keys('*:entry:=key');
  const [stream = ''] = await server.admin.keys('*:stream');
  const before = await server.admin.getBuffer(entry);
  await first.cache.set('key', 'new');
  await waitUntil(() => second.cache.peek('key') === undefined);
  await second.cache.get('key');
  const last = await server.admin.xrevrange(stream, '+', '-', 'COUNT', 1);
  const dropped = [first, second].map(({ cache }) => dropOf(cache));
  // What a replica has that did not get the last write.
  await server.admin
    .multi()
    .set(entry, before ?? '', 'PX', 60_000)
    .xdel(stream, last[0]?.[0] ?? '')
    .exec();
  const reasons = (await Promise.all(dropped)).map(({ reason }) => reason);
  expect(reasons).toContain('writes-lost');
  await untilConnected([first, second]);
  for (const { cache } of [first, second]) expect(await cache.get('key')).toBeUndefined();
});
