import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import {
  type PostgresCatalog,
  WAYS,
  type Way,
  generationBundles,
  manifestOf,
  openPostgresCatalog,
  publishGeneration,
} from '../../src/catalog/postgres-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';

let catalog: PostgresCatalog;
beforeAll(async () => {
  // The PostgREST prints each refusal that it answers with.
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
  catalog = await openPostgresCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());

/** The tables, of generations or rows, in which a staged generation is. */
const rowsTable = async (way: Way): Promise<string> => {
  if (way === 'PostgREST') return `${catalog.prefixOf(way)}_documents`;
  const [row] = await catalog.ask(
    `select relation from ${catalog.prefix}_generations order by begun_at desc limit 1`,
  );
  return String(row?.['relation']);
};

/** Which generations have rows. */
const generationsLeft = async (way: Way): Promise<number[]> => {
  const table = `${catalog.prefixOf(way)}_generations`;
  const rows = await catalog.ask(`select generation from ${table} order by generation`);
  if (way !== 'PostgREST') {
    const tables = await catalog.ask(
      'select relname from pg_class where relkind = $1 and relname ~ $2',
      ['r', `^${catalog.prefix}_g`],
    );
    // The list of generations has the same beginning.
    expect(tables).toHaveLength(rows.length + 1);
  }
  return rows.map(({ generation }) => Number(generation));
};

describe.each(WAYS)('by %s', (way) => {
  test.each([0, 1, 1_203])('a generation of %i bundles is read as it was added', async (rows) => {
    const store = await catalog.store(way, { rowsPerRead: 500 });
    expect(await store.current()).toBeUndefined();
    expect(await store.open()).toBeUndefined();
    const bundles = generationBundles(rows, 7);
    const staged = await store.stage({ generation: 7, token: 3 });
    for (let at = 0; at < rows; at += 333) await staged.add(bundles.slice(at, at + 333));
    expect(await store.current()).toBeUndefined();
    await staged.publish(manifestOf(7, 3, rows));
    expect(await store.current()).toStrictEqual(manifestOf(7, 3, rows));
    expect(await readGeneration(store)).toStrictEqual({ generation: 7, bundles });
    const reader = await store.open();
    for (const row of [0, rows - 1, rows >> 1]) {
      expect(await reader?.readRow(row)).toStrictEqual(bundles[row]);
    }
    expect(await reader?.readRow(rows)).toBeUndefined();
    expect(await reader?.readRow(-1)).toBeUndefined();
  });

  test('a reader keeps its generation while two others are published, until its grace is over', async () => {
    const store = await catalog.store(way, { rowsPerRead: 50 });
    await publishGeneration(store, 1);
    const reader = await store.open();
    const parts = reader?.readAll();
    expect((await parts?.next())?.value).toStrictEqual(generationBundles(50, 1));
    await publishGeneration(store, 2);
    await publishGeneration(store, 3);
    expect((await parts?.next())?.value).toStrictEqual(generationBundles(100, 1).slice(50));
    expect(await reader?.readRow(99)).toStrictEqual(generationBundles(100, 1)[99]);
    expect((await readGeneration(store)).generation).toBe(3);
    expect(await generationsLeft(way)).toStrictEqual([1, 2, 3]);
    await publishGeneration(await catalog.store(way, { graceMs: 0 }), 4);
    expect(await generationsLeft(way)).toStrictEqual([3, 4]);
    await expect(reader?.readRow(0)).rejects.toMatchObject({ reason: 'missing' });
  });

  test('of many generations within their grace the oldest go', async () => {
    const store = await catalog.store(way);
    for (let generation = 1; generation <= 10; generation += 1) {
      await publishGeneration(store, generation, { rows: 1 });
    }
    expect(await generationsLeft(way)).toStrictEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test.each([
    { generation: 5, token: 8 },
    { generation: 4, token: 9 },
    { generation: 6, token: 4 },
  ])(
    'after generation 5 of token 5 one of $generation and token $token is refused',
    async (place) => {
      const store = await catalog.store(way);
      await publishGeneration(store, 5);
      const fenced = { code: 'CATALOG_FENCED', store: store.name };
      await expect(store.stage(place)).rejects.toMatchObject(fenced);
      expect((await readGeneration(store)).generation).toBe(5);
    },
  );

  test('an old leader whose rows and publication come late changes nothing', async () => {
    const old = await catalog.store(way);
    const staged = await old.stage({ generation: 2, token: 1 });
    await staged.add(generationBundles(60, 2));
    const store = await catalog.store(way);
    await publishGeneration(store, 3, { token: 2 });
    await staged.add(generationBundles(40, 2));
    await expect(staged.publish(manifestOf(2, 1, 100))).rejects.toMatchObject({
      code: 'CATALOG_FENCED',
    });
    await staged.discard();
    expect(await readGeneration(store)).toStrictEqual({
      generation: 3,
      bundles: generationBundles(100, 3),
    });
  });

  test('of two leaders at one generation the one with the higher token publishes, and the other nothing', async () => {
    const [first, second] = [await catalog.store(way), await catalog.store(way)];
    const old = await first.stage({ generation: 1, token: 1 });
    await old.add(generationBundles(100, 100));
    const next = await second.stage({ generation: 1, token: 2 });
    await next.add(generationBundles(100, 1));
    const published = await Promise.allSettled([
      old.publish(manifestOf(1, 1, 100)),
      next.publish(manifestOf(1, 2, 100)),
    ]);
    expect(published.map(({ status }) => status)).toStrictEqual(['rejected', 'fulfilled']);
    expect(await readGeneration(first)).toStrictEqual({
      generation: 1,
      bundles: generationBundles(100, 1),
    });
    expect(await first.current()).toMatchObject({ token: 2 });
  });

  test('a leader that begins removes what others have staged, and they publish nothing any more', async () => {
    const store = await catalog.store(way);
    await publishGeneration(store, 1);
    const former = await store.stage({ generation: 3, token: 2 });
    await former.add(generationBundles(10, 3));
    const current = await store.stage({ generation: 2, token: 3 });
    expect(await generationsLeft(way)).toStrictEqual([1, 2]);
    const fenced = { code: 'CATALOG_FENCED' };
    await expect(former.publish(manifestOf(3, 2, 10))).rejects.toMatchObject(fenced);
    await expect(store.stage({ generation: 4, token: 2 })).rejects.toMatchObject(fenced);
    await former.discard();
    await current.publish(manifestOf(2, 3, 0));
    expect((await readGeneration(store)).generation).toBe(2);
  });

  test('another attempt of the same leader takes the place of the one before', async () => {
    const store = await catalog.store(way);
    const first = await store.stage({ generation: 1, token: 1 });
    await first.add(generationBundles(100, 1));
    const second = await store.stage({ generation: 1, token: 1 });
    await second.add(generationBundles(50, 1));
    await expect(first.publish(manifestOf(1, 1, 100))).rejects.toMatchObject({ reason: 'missing' });
    await second.publish(manifestOf(1, 1, 50));
    expect(await readGeneration(store)).toStrictEqual({
      generation: 1,
      bundles: generationBundles(50, 1),
    });
  });

  test('a discarded generation leaves nothing, and a published one stays', async () => {
    const store = await catalog.store(way);
    const staged = await store.stage({ generation: 1, token: 1 });
    await staged.add(generationBundles(100, 1));
    await staged.discard();
    await staged.discard();
    expect(await generationsLeft(way)).toStrictEqual([]);
    await expect(staged.add([])).rejects.toMatchObject({ reason: 'closed' });
    const next = await store.stage({ generation: 1, token: 1 });
    await next.publish(manifestOf(1, 1, 0));
    await next.discard();
    expect((await readGeneration(store)).generation).toBe(1);
  });

  test('a manifest that does not fit what was staged is refused', async () => {
    const store = await catalog.store(way);
    const staged = await store.stage({ generation: 1, token: 1 });
    await staged.add(generationBundles(100, 1));
    for (const manifest of [manifestOf(1, 1, 99), manifestOf(2, 1, 100), manifestOf(1, 2, 100)]) {
      await expect(staged.publish(manifest)).rejects.toMatchObject({ reason: 'refused' });
    }
    await staged.publish(manifestOf(1, 1, 100));
    expect((await readGeneration(store)).generation).toBe(1);
  });

  test.each(['the last', 'another'])(
    'without %s of its rows nothing is published',
    async (which) => {
      const store = await catalog.store(way);
      await publishGeneration(store, 1);
      const staged = await store.stage({ generation: 2, token: 2 });
      // More than one statement loads.
      const rows = way === 'PostgREST' ? 700 : 4_000;
      await staged.add(generationBundles(rows, 2));
      const table = await rowsTable(way);
      const row = { 'the last': 'max', another: '1 + min' }[which];
      const mine = way === 'PostgREST' ? `attempt like '2-%'` : 'true';
      const [deleted] = await catalog.ask(
        `with gone as (delete from ${table} where ${mine} and "row" = (select ${row}("row") from ${table} where ${mine}) ` +
          'returning 1) select count(*) as rows from gone',
      );
      expect(Number(deleted?.['rows'])).toBe(1);
      const publishing = staged.publish(manifestOf(2, 2, rows));
      await expect(publishing).rejects.toMatchObject({ reason: 'missing', outcome: 'not-applied' });
      expect((await readGeneration(store)).generation).toBe(1);
    },
  );

  test.each([
    ['changed', `document = replace(document::text, 'Andorra', 'Austria')::DOCUMENT`, 'damaged'],
    ['moved', '"row" = 1000', 'missing'],
  ])('a document that was %s is not handed out', async (_, change, reason) => {
    const store = await catalog.store(way);
    await publishGeneration(store, 1);
    const type = way === 'PostgREST' ? 'text' : 'json';
    const text = change.replace('DOCUMENT', type);
    await catalog.ask(`update ${await rowsTable(way)} set ${text} where "row" = 40`);
    const reader = await store.open();
    await expect(reader?.readRow(40)).rejects.toMatchObject({ code: 'CATALOG_STORE', reason });
    await expect(readGeneration(store)).rejects.toMatchObject({ reason });
    expect(await reader?.readRow(41)).toStrictEqual(generationBundles(42, 1)[41]);
  });

  test('an abort ends a call with its reason', async () => {
    const store = await catalog.store(way);
    const reason = new Error('the sync ends');
    const signal = AbortSignal.abort(reason);
    await expect(store.current({ signal })).rejects.toBe(reason);
    await expect(store.stage({ generation: 1, token: 1 }, { signal })).rejects.toBe(reason);
    await publishGeneration(store, 1);
    const reader = await store.open();
    await expect(reader?.readRow(0, { signal })).rejects.toBe(reason);
  });

  test('a closed store answers nothing', async () => {
    const store = await catalog.store(way);
    await publishGeneration(store, 1);
    const reader = await store.open();
    await reader?.close();
    await expect(reader?.readRow(0)).rejects.toMatchObject({ reason: 'closed' });
    const left = await store.open();
    const staged = await store.stage({ generation: 2, token: 2 });
    await store.close();
    await expect(left?.readRow(0)).rejects.toMatchObject({ reason: 'closed' });
    await expect(staged.add([])).rejects.toMatchObject({ reason: 'closed' });
    await expect(store.current()).rejects.toMatchObject({ reason: 'closed' });
    await expect(store.stage({ generation: 2, token: 2 })).rejects.toMatchObject({
      reason: 'closed',
    });
  });

  test('a bundle that cannot be written is refused, and so is the rest of its generation', async () => {
    const store = await catalog.store(way);
    const staged = await store.stage({ generation: 1, token: 1 });
    const broken = generationBundles(1, Number.NaN);
    await expect(staged.add(broken)).rejects.toMatchObject({
      code: 'CATALOG_DOCUMENT_INVALID',
    });
    await expect(staged.publish(manifestOf(1, 1, 0))).rejects.toMatchObject({ reason: 'closed' });
  });
});

test('the view has the published generation, whose documents SQL can read', async () => {
  const store = await catalog.store('COPY');
  for (const generation of [1, 2]) {
    await publishGeneration(store, generation);
    const rows = await catalog.ask(
      `select document ->> 'price' as price from ${catalog.prefix} where name = 'esim_3'`,
    );
    expect(rows).toStrictEqual([{ price: String(generation) }]);
  }
});

test('whoever has the public key alone reads nothing of it through PostgREST, and publishes nothing', async () => {
  await publishGeneration(await catalog.store('PostgREST'), 1);
  const visitor = catalog.visitor();
  const refused = { reason: 'unreachable' };
  await expect(visitor.current()).rejects.toMatchObject(refused);
  await expect(visitor.stage({ generation: 2, token: 2 })).rejects.toMatchObject(refused);
});
