import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import {
  CatalogClosedError,
  CatalogLockedError,
  CatalogServerError,
  CatalogUnavailableError,
  InvalidQueryError,
  createCatalog,
} from '@holdfast/catalog';
import {
  type ServingFixture,
  createPlace,
  generationOf,
  never,
  openServing,
  outcomeOf,
} from './fixture.ts';

const DAY_MS = 86_400_000;

/** A serving catalog whose generation 1 came from the API. */
async function openServed(options: Parameters<ServingFixture['open']>[0] = {}) {
  const fixture = openServing();
  const catalog = fixture.open(options);
  await fixture.clock.settle(catalog.refresh());
  return { ...fixture, catalog };
}

test('a stale generation is served while it is renewed, once for all who ask', async () => {
  const { clock, sync, catalog } = await openServed();
  const { promise, resolve } = Promise.withResolvers<void>();
  sync.next = async () => {
    await promise;
    return outcomeOf(generationOf(2, clock.epochMs()));
  };
  clock.stepWallClock(31 * DAY_MS);
  for (let search = 0; search < 50; search += 1) {
    const { origin } = await catalog.search();
    expect(origin).toMatchObject({ generation: 1, stale: true, ageMs: 31 * DAY_MS });
  }
  resolve();
  await clock.advance(1);
  expect((await catalog.search()).origin).toMatchObject({ generation: 2, stale: false, ageMs: 1 });
  expect(sync.runs).toBe(2);
  await clock.settle(catalog.close());
});

test('a generation is synced anew when it is as old as refreshEveryMs, and a tenth sooner at most', async () => {
  const { clock, sync, catalog } = await openServed({ refreshEveryMs: 100_000 });
  await clock.advance(89_000);
  expect(sync.runs).toBe(1);
  await clock.advance(11_000);
  expect(sync.runs).toBe(2);
  await clock.settle(catalog.close());
});

test('the generation of another process is served within a second, and this one need not sync', async () => {
  const { clock, sync, cache, catalog } = await openServed({ refreshEveryMs: 10_000 });
  for (let generation = 2; generation <= 20; generation += 1) {
    outcomeOf(generationOf(generation, clock.epochMs()), [cache]);
    await clock.advance(1_000);
    expect(catalog.status().origin).toMatchObject({ source: 'cache', generation });
  }
  expect(sync.runs).toBe(1);
  await clock.settle(catalog.close());
});

test('what this process publishes is not read back, however long it takes to publish it', async () => {
  const { clock, sync, cache, catalog } = await openServed();
  sync.next = async ({ onProgress }) => {
    onProgress?.({ phase: 'publishing', pages: 1, reusedPages: 0, rows: 20, expectedRows: 20 });
    const outcome = outcomeOf(generationOf(2, clock.epochMs()), [cache]);
    await new Promise<void>((resolve) => void clock.schedule(5_000, resolve));
    return outcome;
  };
  const sources: string[] = [];
  catalog.on('served', ({ source, generation }) => sources.push(`${source} ${generation}`));
  await clock.settle(catalog.sync());
  expect([cache.opened, ...sources]).toEqual([0, 'api 2']);
  await clock.settle(catalog.close());
});

test('a failed sync is repeated with growing pauses, at most 2 s after the API is back', async () => {
  const { clock, sync, catalog } = await openServed();
  const atMs: number[] = [];
  sync.next = async () => {
    atMs.push(clock.now());
    throw new CatalogServerError('/catalogue', 500, 'broken');
  };
  await clock.settle(catalog.refresh());
  await clock.advance(60_000);
  const pauses = atMs.slice(1).map((ms, at) => ms - (atMs[at] ?? 0));
  expect(pauses[0]).toBeLessThanOrEqual(300);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(1_500);
  expect(pauses.length).toBeLessThan(60);
  sync.next = async () => outcomeOf(generationOf(2, clock.epochMs()));
  await clock.advance(1_500);
  expect(catalog.status().origin).toMatchObject({ source: 'api', generation: 2 });
  expect(catalog.status().lastSync).toMatchObject({ error: undefined });
  await clock.settle(catalog.close());
});

test('a sync that fails after a long time is not repeated sooner than it took, or the API asks', async () => {
  const { clock, sync, catalog } = await openServed();
  const atMs: number[] = [];
  sync.next = async () => {
    atMs.push(clock.now());
    await new Promise<void>((resolve) => void clock.schedule(8_000, resolve));
    throw new CatalogServerError('/catalogue', 503, 'busy', atMs.length === 2 ? 30_000 : 0);
  };
  await clock.settle(catalog.refresh());
  await clock.advance(100_000);
  expect(atMs.slice(1, 3).map((ms, at) => ms - (atMs[at] ?? 0))).toEqual([16_000, 38_000]);
  await clock.settle(catalog.close());
});

test('a cache that is back is served from again, without reading what is in memory', async () => {
  const { clock, sync, cache, database, catalog } = await openServed();
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  Object.assign(cache, { state: 'hung' });
  Object.assign(database, { state: 'refused' });
  expect(await clock.settle(catalog.refresh())).toMatchObject({ source: 'memory' });
  Object.assign(cache, { state: 'ok' });
  await clock.advance(1_200);
  expect(catalog.status().origin).toMatchObject({ source: 'cache', generation: 1 });
  expect(cache.opened).toBe(0);
  await clock.settle(catalog.close());
});

test('a cache that has lost its generation gets another one, and one that takes none is not tried without end', async () => {
  const { clock, sync, cache, catalog } = await openServed();
  Object.assign(cache, { published: undefined });
  await clock.advance(1_200);
  expect(cache.published?.manifest.generation).toBe(2);
  expect(sync.runs).toBe(2);
  Object.assign(cache, { state: 'empty' });
  const failed = [{ target: 'redis', cause: new Error('OOM') }];
  sync.next = async () => outcomeOf(generationOf(sync.runs, clock.epochMs()), [], { failed });
  await clock.advance(3_600_000);
  // The pause doubles each time.
  expect(sync.runs).toBeLessThan(2 + 20);
  await clock.settle(catalog.close());
});

test('50 searches and 20 warmers are one load, and each ends with its own signal', async () => {
  const { clock, sync, cache, open } = openServing();
  outcomeOf(generationOf(1, clock.epochMs()), [cache]);
  sync.next = () => Promise.reject(new CatalogLockedError('redis', 1_000));
  const catalog = open();
  const impatient = new AbortController();
  const aborted = catalog.search({}, { signal: impatient.signal });
  const searches = Array.from({ length: 50 }, () => catalog.search({ limit: 1 }));
  const warmers = Array.from({ length: 20 }, () => catalog.refresh());
  const reason = new Error('gone');
  impatient.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  const answers = await clock.settle(Promise.all(searches));
  await clock.settle(Promise.all(warmers));
  expect(new Set(answers.map(({ total }) => total))).toEqual(new Set([20]));
  expect([sync.runs, cache.opened]).toEqual([1, 1]);
  await clock.settle(catalog.close());
});

test('those who have nothing do not make the tiers search again at once, and recover behind', async () => {
  const { clock, sync, cache, open } = openServing();
  Object.assign(cache, { state: 'refused' });
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  const catalog = open();
  for (let search = 0; search < 100; search += 1) {
    const error = await clock.settle(catalog.search()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CatalogUnavailableError);
    expect(error).toMatchObject({ retryable: true, retryAfterMs: expect.any(Number) });
  }
  expect(sync.runs).toBe(1);
  outcomeOf(generationOf(1, clock.epochMs()), [cache]);
  Object.assign(cache, { state: 'ok' });
  await clock.advance(1_000);
  expect((await catalog.search()).origin).toMatchObject({ source: 'cache', generation: 1 });
  await clock.settle(catalog.close());
});

test('a query that is wrong is refused at once, with or without a generation', async () => {
  const { clock, sync, open } = openServing();
  sync.next = never;
  const catalog = open();
  const query = { minPrice: 2, maxPrice: 1 };
  await expect(catalog.search(query)).rejects.toBeInstanceOf(InvalidQueryError);
  expect(sync.runs).toBe(0);
  await clock.settle(catalog.close());
});

test('a sync is canceled when all who wait for it have aborted, and not before', async () => {
  const { clock, sync, open } = openServing();
  let canceled = 0;
  sync.next = ({ signal }) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => {
        canceled += 1;
        reject(signal.reason);
      });
    });
  const catalog = open();
  const [first, second] = [new AbortController(), new AbortController()];
  const syncs = [first, second].map(({ signal }) => catalog.sync({ signal }));
  const ends = Promise.allSettled(syncs);
  first.abort(new Error('first'));
  await clock.advance(1);
  expect(canceled).toBe(0);
  second.abort(new Error('second'));
  const reasons = (await ends).map((end) => (end.status === 'rejected' ? String(end.reason) : ''));
  expect([canceled, ...reasons]).toEqual([1, 'Error: first', 'Error: second']);
  // The next one begins anew.
  sync.next = async () => outcomeOf(generationOf(sync.runs, clock.epochMs()));
  expect((await clock.settle(catalog.sync())).manifest.generation).toBe(2);
  await clock.settle(catalog.close());
});

test('a sync that permits shrinking does not join one that refuses it', async () => {
  const { clock, sync, open } = openServing();
  const permitted: (boolean | undefined)[] = [];
  sync.next = async ({ allowShrink }) => {
    permitted.push(allowShrink);
    return outcomeOf(generationOf(sync.runs, clock.epochMs()));
  };
  const catalog = open();
  await clock.settle(
    Promise.all([catalog.sync(), catalog.sync({ allowShrink: true }), catalog.sync()]),
  );
  expect(permitted).toEqual([false, true]);
  await clock.settle(catalog.close());
});

test('status tells of the sync that runs and how the last one ended', async () => {
  const { clock, sync, open } = openServing();
  const progress = {
    phase: 'fetching',
    pages: 1,
    reusedPages: 0,
    rows: 5,
    expectedRows: 20,
  } as const;
  const seen: unknown[] = [];
  sync.next = async ({ onProgress }) => {
    onProgress?.(progress);
    expect(catalog.status().sync).toEqual(progress);
    throw new CatalogServerError('/catalogue', 500, 'broken');
  };
  const catalog = open();
  const syncing = catalog.sync({ onProgress: (each) => seen.push(each) });
  await expect(clock.settle(syncing)).rejects.toBeInstanceOf(CatalogServerError);
  expect(seen).toEqual([progress]);
  expect(catalog.status()).toMatchObject({
    origin: undefined,
    sync: undefined,
    lastSync: { atEpochMs: clock.epochMs(), error: expect.any(CatalogServerError) },
  });
  await clock.settle(catalog.close());
});

test('the status warns from a sync that failed to one that goes well, here or in another process', async () => {
  const { clock, sync, cache, database, backup, open } = openServing();
  cache.published = generationOf(1, clock.epochMs());
  const catalog = open();
  const healthAfter = async (next: typeof sync.next): Promise<unknown> => {
    sync.next = next;
    await clock.settle(catalog.sync().catch(() => undefined));
    const { health, notes } = catalog.status();
    return [health, ...notes];
  };
  const failing: typeof sync.next = () =>
    Promise.reject(new CatalogServerError('/catalogue', 503, 'down', undefined));
  const locked: typeof sync.next = () => Promise.reject(new CatalogLockedError('redis', 1));
  await clock.settle(catalog.refresh());
  const warned = ['warn', 'the last sync failed: CATALOG_API_UNAVAILABLE'];
  expect(await healthAfter(locked)).toEqual(['pass']);
  expect(await healthAfter(failing)).toEqual(warned);
  expect(await healthAfter(locked)).toEqual(warned);
  const places = [cache, database, backup];
  const going: typeof sync.next = async () => outcomeOf(generationOf(2, clock.epochMs()), places);
  expect(await healthAfter(going)).toEqual(['pass']);
  expect(await healthAfter(failing)).toEqual(warned);
  await clock.advance(1);
  cache.published = generationOf(3, clock.epochMs());
  sync.next = locked;
  await clock.advance(60_000);
  expect(catalog.status()).toMatchObject({ health: 'pass', manifest: { generation: 3 } });
  await clock.settle(catalog.close());
});

test('closing ends what waits, in bounded time whatever hangs, and leaves no timer', async () => {
  const { clock, sync, cache, open } = openServing();
  Object.assign(cache, { state: 'hung' });
  sync.next = never;
  const catalog = open();
  const searching = catalog.search().catch((error: unknown) => error);
  const syncing = catalog.sync().catch((error: unknown) => error);
  await clock.advance(10);
  const startedMs = clock.now();
  await clock.settle(catalog.close());
  expect(clock.now() - startedMs).toBe(5_000);
  expect([await searching, await syncing]).toEqual([
    expect.any(CatalogClosedError),
    expect.any(CatalogClosedError),
  ]);
  await expect(catalog.search()).rejects.toBeInstanceOf(CatalogClosedError);
  await clock.advance(60_000);
  expect(clock.pendingTimers).toBe(0);
});

test('what was opened is closed when another generation is served, and at the end', async () => {
  const { clock, sync, cache, database, backup, open } = openServing();
  const places = [cache, database, backup];
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  outcomeOf(generationOf(1, clock.epochMs()), places);
  const catalog = open();
  await clock.settle(catalog.refresh());
  outcomeOf(generationOf(2, clock.epochMs()), places);
  await clock.advance(2_000);
  expect(catalog.status().origin).toMatchObject({ generation: 2 });
  expect([cache.opened, cache.closed]).toEqual([2, 1]);
  await clock.settle(catalog.close());
  for (const { opened, closed } of places) expect(closed).toBe(opened);
});

test.each([
  [{}, 'api'],
  [{ cache: createPlace('redis'), refreshEveryMs: 2, ttlMs: 1 }, 'refreshEveryMs'],
  [{ cache: createPlace('redis'), deadlines: { totalMs: 0 } }, 'deadlines.totalMs'],
  [
    { cache: createPlace('redis'), retry: { initialDelayMs: 9, maxDelayMs: 8 } },
    'retry.initialDelayMs',
  ],
  [{ api: {} }, 'api'],
  [{ api: { fetchBundles() {} } }, 'lock'],
  [{ api: { fetchBundles() {} }, lock: { acquire() {} } }, 'directory'],
])('options %j are refused by their field', (options, field) => {
  const create = (): unknown => Reflect.apply(createCatalog, undefined, [options]);
  expect(create).toThrow(expect.objectContaining({ field }));
});

test('without an API nothing can sync, and the generations of others are served', async () => {
  const { clock, cache, open } = openServing();
  outcomeOf(generationOf(1, clock.epochMs()), [cache]);
  const catalog = open({}, false);
  await expect(catalog.sync()).rejects.toBeInstanceOf(InvalidOptionError);
  expect((await clock.settle(catalog.search())).origin).toMatchObject({ source: 'cache' });
  outcomeOf(generationOf(2, clock.epochMs()), [cache]);
  await clock.advance(1_000);
  expect((await catalog.search()).origin).toMatchObject({ generation: 2 });
  await clock.settle(catalog.close());
});
