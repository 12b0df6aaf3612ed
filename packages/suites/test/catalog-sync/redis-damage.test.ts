import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Bundle, GenerationReader } from '@holdfast/catalog';
import type { RebuildRows, RedisGenerationsEvents } from '@holdfast/catalog/redis';
import { environment, seededRandom } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  type RedisCatalog,
  catalogBundles,
  openRedisCatalog,
  publishGeneration,
} from '../../src/catalog/redis-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';

/** A tenth by default; `HOLDFAST_RUNS=10000` for all. */
const DAMAGES = Number(environment['HOLDFAST_RUNS'] ?? 1_000);
const ROWS = 100;

let catalog: RedisCatalog;
beforeAll(async () => {
  catalog = await openRedisCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());

async function chunkKeys(): Promise<string[]> {
  const keys = await catalog.keys('g:*');
  return keys.map((key) => `{${catalog.prefix}}:${key}`);
}

const fromBackup: RebuildRows = ({ generation }, firstRow, rows) =>
  Promise.resolve(catalogBundles(ROWS, generation).slice(firstRow, firstRow + rows));

/** What happened to the chunks of a store, in order. */
function eventsOf(store: ReturnType<RedisCatalog['store']>): string[] {
  const seen: string[] = [];
  const note =
    (kind: string) =>
    ({ firstRow, rows }: RedisGenerationsEvents['missing']): void =>
      void seen.push(`${kind} ${firstRow}+${rows}`);
  store.on('damaged', note('damaged'));
  store.on('missing', note('missing'));
  store.on('rebuilt', note('rebuilt'));
  return seen;
}

/** One bit flipped, bytes exchanged, the end cut off, or more added. */
function damaged(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * bytes.length);
  const kind = random();
  if (kind < 0.1) return bytes.subarray(0, at);
  if (kind < 0.15) return Buffer.concat([bytes, Buffer.from([at & 255])]);
  const copy = Buffer.from(bytes);
  if (kind < 0.25) copy.fill(at & 255, at, Math.min(bytes.length, at + 8));
  else copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy.equals(bytes) ? bytes.subarray(0, at) : copy;
}

scenario(
  () => catalog.mode,
  {
    promise: 'no chunk with a flipped bit or a missing end is served',
    fault: 'seeded flips, overwritten bytes and truncations of chunks in Redis',
  },
  async () => {
    const store = catalog.store();
    await publishGeneration(store, 1);
    const expected = catalogBundles(ROWS, 1);
    const keys = await chunkKeys();
    const whole = new Map<string, Buffer>();
    for (const key of keys) whole.set(key, (await catalog.admin.getBuffer(key)) ?? Buffer.alloc(0));
    const random = seededRandom(15);
    const served: unknown[] = [];
    let refused = 0;
    const readDamaged = async (reader: GenerationReader, key: string): Promise<void> => {
      const row = Number(key.split(':').at(-1)) * 20 + Math.floor(random() * 20);
      await reader.readRow(row).then(
        (bundle) => served.push(bundle),
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'CATALOG_STORE', reason: 'damaged' });
          refused += 1;
        },
      );
    };
    for (let run = 0; run < DAMAGES; run += keys.length) {
      const writing = catalog.admin.pipeline();
      for (const [key, bytes] of whole) writing.set(key, damaged(bytes, random), 'PX', 60_000);
      await writing.exec();
      const reader = await store.open();
      if (reader === undefined) throw new TypeError('there is no generation');
      await Promise.all(keys.map((key) => readDamaged(reader, key)));
    }
    expect(served).toStrictEqual([]);
    expect(refused).toBeGreaterThanOrEqual(DAMAGES);
    for (const [key, bytes] of whole) await catalog.admin.set(key, bytes, 'PX', 60_000);
    expect((await readGeneration(store)).bundles).toStrictEqual(expected);
    return { accepted: DAMAGES, lost: 0, note: `${DAMAGES} damages, all refused` };
  },
);

scenario(
  () => catalog.mode,
  {
    promise:
      'a damaged chunk is put aside and rebuilt alone, and the next reader has it from Redis',
    fault: 'one of five chunks damaged, another deleted',
  },
  async () => {
    const store = catalog.store({ rebuild: fromBackup });
    const seen = eventsOf(store);
    await publishGeneration(store, 1);
    const [, second = '', , fourth = ''] = await chunkKeys();
    const ttl = await catalog.admin.pttl(second);
    await catalog.admin.setrange(second, 70, 'damage');
    await catalog.admin.del(fourth);
    expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(ROWS, 1));
    const events = ['damaged 20+20', 'rebuilt 20+20', 'missing 60+20', 'rebuilt 60+20'];
    expect(seen).toStrictEqual(events);
    expect(await catalog.keys('damaged:*')).toHaveLength(1);
    expect(await catalog.admin.pttl(fourth)).toBeGreaterThan(ttl - 60_000);
    const other = catalog.store();
    expect((await readGeneration(other)).bundles).toStrictEqual(catalogBundles(ROWS, 1));
    expect(seen).toStrictEqual(events);
    return { note: 'the other chunks are untouched' };
  },
);

test.each(['missing', 'damaged'])(
  'a %s chunk that nothing can rebuild is an error, and the others are served',
  async (reason) => {
    const rebuild: RebuildRows = () => Promise.resolve(undefined);
    for (const [at, store] of [catalog.store(), catalog.store({ rebuild })].entries()) {
      await publishGeneration(store, at + 1);
      const keys = await chunkKeys();
      for (const key of keys.filter((each) => each.endsWith(':c:0'))) {
        if (reason === 'missing') await catalog.admin.del(key);
        else await catalog.admin.setrange(key, 70, 'damage');
      }
      const reader = await store.open();
      await expect(reader?.readRow(3)).rejects.toMatchObject({ code: 'CATALOG_STORE', reason });
      expect(await reader?.readRow(20)).toMatchObject({ name: 'esim_20_V2' });
    }
  },
);

test.each<[string, (rows: readonly Bundle[]) => Promise<readonly Bundle[]>]>([
  ['fewer rows', (rows) => Promise.resolve(rows.slice(1))],
  ['other bundles', (rows) => Promise.resolve(rows.toReversed())],
  ['an error', () => Promise.reject(new Error('the backup is gone'))],
  ['nothing in time', () => new Promise<never>(() => undefined)],
])('a chunk is not rebuilt from %s', async (_, change) => {
  const rebuild: RebuildRows = async (...asked) => change((await fromBackup(...asked)) ?? []);
  const store = catalog.store({ rebuild, rebuildTimeoutMs: 100 });
  await publishGeneration(store, 1);
  const [key = ''] = await chunkKeys();
  await catalog.admin.del(key);
  await expect(readGeneration(store)).rejects.toMatchObject({ reason: 'missing' });
  expect(await catalog.admin.exists(key)).toBe(0);
});

test.each(['another place', 'another generation', 'another writer'])(
  'a chunk of %s is not served',
  async (from) => {
    const store = catalog.store({ graceMs: 60_000 });
    await publishGeneration(store, 1);
    const [first = '', second = ''] = await chunkKeys();
    let source = second;
    if (from === 'another generation') {
      await publishGeneration(store, 2);
      source = first;
    }
    if (from === 'another writer') {
      // The same generation and place, by a staging that has begun again with other bundles.
      const staged = await store.stage({ generation: 2, token: 1 });
      await staged.add(catalogBundles(ROWS, 2).toReversed());
      source =
        (await chunkKeys()).find((key) => key.includes('g:2:') && key.endsWith(':c:0')) ?? '';
      await catalog.admin.copy(source, 'kept');
      source = 'kept';
      await publishGeneration(store, 2);
    }
    const keys = await chunkKeys();
    const target =
      from === 'another place' ? first : (keys.find((key) => key.includes('g:2:')) ?? '');
    await catalog.admin.copy(source, target, 'REPLACE');
    await expect(readGeneration(store)).rejects.toMatchObject({ reason: 'damaged' });
  },
);

test('readers of one chunk that is gone rebuild it once', async () => {
  let calls = 0;
  const rebuild: RebuildRows = (...asked) => {
    calls += 1;
    return fromBackup(...asked);
  };
  const store = catalog.store({ rebuild });
  await publishGeneration(store, 1);
  await catalog.admin.del(...(await chunkKeys()));
  const reader = await store.open();
  const rows = Array.from({ length: 50 }, (_, at) => at % 20);
  const found = await Promise.all(rows.map(async (row) => reader?.readRow(row)));
  expect(found).toStrictEqual(rows.map((row) => catalogBundles(ROWS, 1)[row]));
  expect(calls).toBe(1);
});

test('a chunk that was rebuilt stays no longer than its generation', async () => {
  const store = catalog.store({ rebuild: fromBackup, graceMs: 2_000 });
  await publishGeneration(store, 1);
  const reader = await store.open();
  const old = await chunkKeys();
  await publishGeneration(store, 2);
  await catalog.admin.del(...old);
  expect(await reader?.readRow(0)).toStrictEqual(catalogBundles(ROWS, 1)[0]);
  const restored = (await chunkKeys()).find((key) => old.includes(key)) ?? '';
  expect(await catalog.admin.pttl(restored)).toBeGreaterThan(0);
  expect(await catalog.admin.pttl(restored)).toBeLessThanOrEqual(2_000);
});

test('where Redis evicts chunks of the published generation, its readers have whole rows all the same', async () => {
  const store = catalog.store({ rebuild: fromBackup });
  const seen = eventsOf(store);
  await publishGeneration(store, 1);
  const used = Number(/used_memory:(\d+)/.exec(await catalog.admin.info('memory'))?.[1]);
  await catalog.admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
  await catalog.admin.config('SET', 'maxmemory', `${used + 500_000}`);
  const filler = Buffer.alloc(100_000);
  // All others live longer: the chunks go first. Without the pointer there would be no generation.
  await catalog.admin.pexpire(`{${catalog.prefix}}:current`, 20_000_000_000);
  for (let at = 0; (await chunkKeys()).length > 3 && at < 1_000; at += 1) {
    await catalog.admin.set(`filler-${at}`, filler, 'PX', 10_000_000_000);
  }
  expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(ROWS, 1));
  expect(seen).toContain('missing 0+20');
});
