import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  CatalogServerError,
  CatalogUnavailableError,
  createCatalog,
  createRowRebuilder,
} from '@holdfast/catalog';
import { bundlesOf, inParts, manifestOf, openFixture } from '../bundles.ts';
import { ROWS, asBackup, createPlace, generationOf, openServing, outcomeOf } from './fixture.ts';

const names = bundlesOf(ROWS).map(({ name }) => name);

/** Generation 1 is in all places, and served from the cache. */
async function openServed() {
  const fixture = openServing();
  const { clock, sync, cache, database, backup, open } = fixture;
  const generation = generationOf(1, clock.epochMs());
  outcomeOf(generation, [cache, database, backup]);
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  const catalog = open();
  await clock.settle(catalog.refresh());
  return { ...fixture, catalog, bundles: generation.bundles };
}

test('every document is read from the tier of its index, as it was stored', async () => {
  const { clock, catalog, bundles } = await openServed();
  for (const bundle of bundles) {
    const answer = await clock.settle(catalog.get(bundle.name));
    expect(answer).toEqual({ bundle, origin: expect.objectContaining({ source: 'cache' }) });
  }
  const none = await clock.settle(catalog.get('no such name'));
  expect(none).toMatchObject({ bundle: undefined, origin: { source: 'cache', generation: 1 } });
  await clock.settle(catalog.close());
});

test.each(['refused', 'hung', 'damaged'] as const)(
  'a document comes from the next tier of the same generation when one is %s',
  async (state) => {
    const { clock, catalog, cache, database } = await openServed();
    Object.assign(cache, { state });
    const fromDatabase = await clock.settle(catalog.get(names[0] ?? ''));
    expect(fromDatabase.origin).toMatchObject({ source: 'database', generation: 1 });
    Object.assign(database, { state });
    const fromBackup = await clock.settle(catalog.get(names[1] ?? ''));
    expect(fromBackup.origin).toMatchObject({ source: 'backup', generation: 1 });
    // What was read is kept.
    const kept = await catalog.get(names[0] ?? '');
    expect(kept.bundle).toEqual(fromDatabase.bundle);
    expect(kept.origin.source).toBe('database');
    await clock.settle(catalog.close());
  },
);

test('a tier that hangs costs one deadline a second, not each document', async () => {
  const { clock, catalog, cache } = await openServed();
  Object.assign(cache, { state: 'hung' });
  const startedMs = clock.now();
  for (const name of names) await clock.settle(catalog.get(name));
  expect(clock.now() - startedMs).toBeLessThan(250);
  await clock.settle(catalog.close());
});

test('a document of another generation is never handed out', async () => {
  const { clock, catalog, cache, database, backup } = await openServed();
  const other = generationOf(2, clock.epochMs());
  for (const place of [cache, database]) Object.assign(place, { state: 'refused' });
  Object.assign(backup, { published: other });
  const error = await clock.settle(catalog.get(names[1] ?? '')).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CatalogUnavailableError);
  expect(String(error)).toMatch(
    /no document of "esim_1_1_V2" of generation 1 .*generation 2, not 1/,
  );
  await clock.settle(catalog.close());
});

test('a bundle whose generation is gone from every place is read from the newer one', async () => {
  const { clock, catalog, cache, database, backup } = await openServed();
  const newest = generationOf(3, clock.epochMs());
  for (const place of [cache, database, backup]) Object.assign(place, { published: newest });
  // What was opened of the first generation is gone with it.
  Object.assign(cache, { state: 'refused' });
  const { bundle, origin } = await clock.settle(catalog.get(names[1] ?? ''));
  expect(origin.generation).toBe(3);
  expect(bundle).toEqual(newest.bundles[1]);
  await clock.settle(catalog.close());
});

test('a document under another name is damage, and not the answer', async () => {
  const { clock, catalog, cache, bundles } = await openServed();
  bundles.reverse();
  const { bundle, origin } = await clock
    .settle(catalog.get(names[3] ?? ''))
    .catch((error: unknown) => ({
      bundle: undefined,
      origin: error,
    }));
  expect(bundle).toBeUndefined();
  expect(origin).toBeInstanceOf(CatalogUnavailableError);
  expect(cache.opened).toBeGreaterThan(0);
  await clock.settle(catalog.close());
});

test('a caller who changes what it was given changes nobody else’s', async () => {
  const { clock, catalog, bundles } = await openServed();
  const first = await clock.settle(catalog.get(names[0] ?? ''));
  const expected = structuredClone(bundles[0]);
  Object.assign((await catalog.get(names[0] ?? '')).bundle ?? {}, { price: -1 });
  expect((await catalog.get(names[0] ?? '')).bundle).toEqual(expected);
  expect(first.bundle).toEqual(expected);
  await clock.settle(catalog.close());
});

test('a large generation of a real backup is indexed in a thread, and its documents are read', async () => {
  const { backup } = openFixture();
  const bundles = bundlesOf(2_500);
  await backup.write({ ...manifestOf(2_500), syncedAtEpochMs: Date.now() }, inParts(bundles));
  const catalog = createCatalog({ backup });
  const { total, origin } = await catalog.search({ country: 'AD' });
  expect([total, origin.source, origin.stale]).toEqual([2_500, 'backup', false]);
  const { bundle } = await catalog.get('esim_1_2345_V2');
  expect(bundle).toEqual(bundles[2_345]);
  await catalog.close();
});

test('rows are rebuilt from the database, else from the backup, of the same generation alone', async () => {
  const clock = createFakeClock();
  const [database, backup] = [createPlace('postgres'), createPlace('backup')];
  const generation = generationOf(1, clock.epochMs());
  outcomeOf(generation, [database, backup]);
  const rebuild = createRowRebuilder({ database, backup: asBackup(backup), clock });
  const rows = (): Promise<unknown> => clock.settle(rebuild(generation.manifest, 2, 18));
  expect(await rows()).toEqual(generation.bundles.slice(2));
  expect([database.opened, backup.opened]).toEqual([1, 0]);
  Object.assign(database, { state: 'hung' });
  expect(await rows()).toEqual(generation.bundles.slice(2));
  expect(backup.opened).toBe(1);
  Object.assign(backup, { state: 'refused' });
  expect(await rows()).toBeUndefined();
  Object.assign(backup, { state: 'ok', published: generationOf(2, clock.epochMs()) });
  expect(await rows()).toBeUndefined();
  rebuild.close();
});
