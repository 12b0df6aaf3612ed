import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createRedisGenerations } from '@holdfast/catalog/redis';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Redis } from 'ioredis';
import {
  type RedisCatalog,
  catalogBundles,
  manifestFor,
  openRedisCatalog,
  publishGeneration,
} from '../../src/catalog/redis-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { waitUntil } from '../../src/wait-until.ts';

let catalog: RedisCatalog;
beforeAll(async () => {
  catalog = await openRedisCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());

test.each([0, 1, 19, 20, 21, 1_007])(
  'a generation of %i bundles is read as it was added',
  async (rows) => {
    const store = catalog.store();
    expect(await store.current()).toBeUndefined();
    expect(await store.open()).toBeUndefined();
    const bundles = catalogBundles(rows, 7);
    const staged = await store.stage({ generation: 7, token: 3 });
    for (let at = 0; at < rows; at += 33) await staged.add(bundles.slice(at, at + 33));
    expect(await store.current()).toBeUndefined();
    const manifest = manifestFor(7, 3, rows);
    await staged.publish(manifest);
    expect(await store.current()).toStrictEqual(manifest);
    expect(await readGeneration(catalog.store())).toStrictEqual({ generation: 7, bundles });
    const reader = await store.open();
    for (const row of [0, rows - 1, rows >> 1, 0]) {
      expect(await reader?.readRow(row)).toStrictEqual(bundles[row]);
    }
    expect(await reader?.readRow(rows)).toBeUndefined();
    expect(await reader?.readRow(-1)).toBeUndefined();
  },
);

test('a reader keeps its generation while others are published, until its grace is over', async () => {
  const store = catalog.store({ graceMs: 2_000 });
  await publishGeneration(store, 1);
  const reader = await store.open();
  await publishGeneration(store, 2);
  expect(await reader?.readRow(99)).toStrictEqual(catalogBundles(100, 1)[99]);
  expect((await readGeneration(store)).generation).toBe(2);
  await waitUntil(async () => (await catalog.keys('g:*')).length === 5);
  await expect(reader?.readRow(0)).rejects.toMatchObject({ reason: 'missing' });
  // Decoded before.
  expect(await reader?.readRow(98)).toStrictEqual(catalogBundles(100, 1)[98]);
});

test('twenty readers that open while generations are published have one whole generation each', async () => {
  const store = catalog.store();
  await publishGeneration(store, 1);
  const published = [1];
  const last = (): number => published.at(-1) ?? 0;
  const read = new Set<number | undefined>();
  const readers = Array.from({ length: 20 }, async () => {
    const own = catalog.store();
    while (last() < 8) {
      const before = last();
      const { generation, bundles } = await readGeneration(own);
      read.add(generation);
      expect(generation).toBeGreaterThanOrEqual(before);
      expect(bundles).toHaveLength(100);
      expect(new Set(bundles.map(({ price }) => price))).toStrictEqual(new Set([generation]));
    }
  });
  while (last() < 8) {
    await publishGeneration(store, last() + 1);
    published.push(last() + 1);
  }
  await Promise.all(readers);
  expect(read.size).toBeGreaterThan(1);
});

test('every key of a generation ends with its time', async () => {
  const store = catalog.store({ ttlMs: 500, graceMs: 500 });
  await publishGeneration(store, 1);
  for (const key of await catalog.keys('g:*')) {
    expect(await catalog.admin.pttl(`{${catalog.prefix}}:${key}`)).toBeLessThanOrEqual(1_000);
  }
  await waitUntil(async () => (await catalog.keys()).length === 1);
  expect(await store.current()).toBeUndefined();
  // What is known of the past outlives it.
  await expect(store.stage({ generation: 1, token: 1 })).rejects.toMatchObject({
    code: 'CATALOG_FENCED',
  });
});

test('what an earlier attempt has staged is removed when the next one begins', async () => {
  const store = catalog.store();
  await publishGeneration(store, 1);
  for (const token of [2, 2, 3]) {
    const staged = await store.stage({ generation: 2, token });
    await staged.add(catalogBundles(100, 2));
    expect((await catalog.keys('g:2:*')).length).toBeGreaterThan(0);
    expect((await catalog.keys('g:2:*')).every((key) => key.startsWith(`g:2:${token}`))).toBe(true);
  }
  expect((await readGeneration(store)).generation).toBe(1);
  await publishGeneration(store, 2, { token: 3 });
  expect(await catalog.keys('staged')).toStrictEqual([]);
});

test('a discarded staging leaves nothing, and a published one is not removed by discard', async () => {
  const store = catalog.store();
  const staged = await store.stage({ generation: 1, token: 1 });
  await staged.add(catalogBundles(100, 1));
  await staged.discard();
  await staged.discard();
  expect(await catalog.keys('g:*')).toStrictEqual([]);
  await expect(staged.add([])).rejects.toMatchObject({ reason: 'closed' });
  const next = await store.stage({ generation: 1, token: 1 });
  await next.add(catalogBundles(100, 1));
  await next.publish(manifestFor(1, 1, 100));
  await next.discard();
  expect((await readGeneration(store)).bundles).toHaveLength(100);
});

test('a manifest that does not fit what was staged is refused', async () => {
  const store = catalog.store();
  const staged = await store.stage({ generation: 1, token: 1 });
  await staged.add(catalogBundles(100, 1));
  for (const manifest of [manifestFor(1, 1, 99), manifestFor(2, 1, 100), manifestFor(1, 2, 100)]) {
    await expect(staged.publish(manifest)).rejects.toMatchObject({ reason: 'refused' });
  }
  expect(await store.current()).toBeUndefined();
  await staged.publish(manifestFor(1, 1, 100));
});

test.each(['evicted', 'shortened'])(
  'a generation of which a chunk was %s while it was staged is not published',
  async (what) => {
    const store = catalog.store();
    await publishGeneration(store, 1);
    const staged = await store.stage({ generation: 2, token: 2 });
    await staged.add(catalogBundles(100, 2));
    const key = `{${catalog.prefix}}:${(await catalog.keys('g:2:*'))[0]}`;
    if (what === 'evicted') await catalog.admin.del(key);
    else await catalog.admin.set(key, 'x');
    await expect(staged.publish(manifestFor(2, 2, 100))).rejects.toMatchObject({
      code: 'CATALOG_STORE',
      reason: what === 'evicted' ? 'missing' : 'damaged',
      outcome: 'not-applied',
    });
    expect((await readGeneration(store)).generation).toBe(1);
  },
);

test('a pointer that is damaged is no generation, and does not lower the fence', async () => {
  const store = catalog.store();
  await publishGeneration(store, 5, { token: 5 });
  await catalog.admin.setrange(`{${catalog.prefix}}:current`, 60, 'x');
  await expect(store.current()).rejects.toMatchObject({ reason: 'damaged' });
  await expect(store.open()).rejects.toMatchObject({ reason: 'damaged' });
  await expect(publishGeneration(store, 4, { token: 5 })).rejects.toMatchObject({
    code: 'CATALOG_FENCED',
  });
  await expect(publishGeneration(store, 6, { token: 4 })).rejects.toMatchObject({
    code: 'CATALOG_FENCED',
  });
  await publishGeneration(store, 6, { token: 5 });
  expect((await readGeneration(store)).generation).toBe(6);
});

test('the stores of two catalogs in one Redis have nothing in common', async () => {
  const [left, right] = [catalog.store({ prefix: 'left' }), catalog.store({ prefix: 'right' })];
  await publishGeneration(left, 9);
  await publishGeneration(right, 1);
  expect((await readGeneration(left)).generation).toBe(9);
  expect((await readGeneration(right)).generation).toBe(1);
});

test('a client that prefixes its keys has all of a catalog under its prefix', async () => {
  const { host, port } = catalog.redis;
  const client = new Redis({ host, port, keyPrefix: 'shop:', lazyConnect: true });
  const store = createRedisGenerations({ client, prefix: catalog.prefix, rowsPerChunk: 20 });
  try {
    await (await store.stage({ generation: 1, token: 1 })).add(catalogBundles(100, 1));
    await publishGeneration(store, 1);
    await publishGeneration(store, 2);
    expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(100, 2));
    const keys = await catalog.admin.keys('*');
    expect(keys.every((key) => key.startsWith(`shop:{${catalog.prefix}}:`))).toBe(true);
  } finally {
    await store.close();
  }
});

test.each([
  { generation: 0, token: 1 },
  { generation: 1.5, token: 1 },
  { generation: 4_294_967_296, token: 1 },
  { generation: 1, token: -1 },
  { generation: 1, token: Number.NaN },
])('the place %j is refused', async (place) => {
  await expect(catalog.store().stage(place)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});
