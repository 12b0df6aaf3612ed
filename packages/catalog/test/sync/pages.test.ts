import { describe, expect, test } from '@jest/globals';
import {
  CatalogPagesError,
  type SyncProgress,
  buildIndex,
  createBackup,
  createCatalogSync,
} from '@holdfast/catalog';
import { environment, seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { FileSystem } from '@holdfast/journal';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { type SyncFixture, namesOf, open, reopen } from './sync-fixture.ts';

/** `HOLDFAST_RUNS=1000` loses power as often. */
const POWER_LOSSES = Number(environment['HOLDFAST_RUNS'] ?? 8);

describe('pages that have not changed', () => {
  test('are not parsed again, in this process and in the next, and make the same generation', async () => {
    const first = await open();
    const { pages } = await first.sync.run();
    const before = first.store.published?.bundles;
    const again = await first.sync.run();
    expect([again.manifest.generation, again.pages, again.reusedPages]).toEqual([2, pages, pages]);
    expect(first.client.getStats().unchangedPages).toBe(pages);
    const next = await reopen(first);
    const outcome = await next.sync.run();
    expect([outcome.manifest.generation, outcome.reusedPages]).toEqual([3, pages]);
    expect(next.client.getStats()).toMatchObject({ pages, unchangedPages: pages });
    expect(next.store.published?.bundles).toEqual(before);
  });

  test('are the only ones that are not parsed when some have', async () => {
    const { sync, server, store } = await open();
    await sync.run();
    server.change({ revision: 1 });
    const { pages, reusedPages } = await sync.run();
    expect(reusedPages).toBeGreaterThan(0);
    expect(reusedPages).toBeLessThan(pages);
    const fresh = await open({ api: { revision: 1 } });
    await fresh.sync.run();
    expect(store.published?.bundles).toEqual(fresh.store.published?.bundles);
  });

  test('are all that the directory holds: older ones are deleted', async () => {
    const { sync, server, files } = await open();
    await sync.run();
    const count = (): number => files.names().filter((name) => name.endsWith('.page')).length;
    const before = count();
    for (let revision = 1; revision <= 3; revision += 1) {
      server.change({ revision });
      await sync.run();
    }
    expect(count()).toBe(before);
  });

  test('and one that was damaged on the disk is fetched again, alone', async () => {
    const { sync, files, store, client } = await open();
    await sync.run();
    const before = store.published?.bundles;
    const name = files.names().find((each) => each.endsWith('.page')) ?? '';
    const content = files.content(name);
    content[60] = (content[60] ?? 0) ^ 1;
    const { pages } = client.getStats();
    const outcome = await sync.run();
    expect(client.getStats().pages).toBe(pages * 2 + 1);
    expect(outcome.keptGroups).toEqual([]);
    expect(store.published?.bundles).toEqual(before);
  });
});

test('where nothing has changed the index is not built again, and each outcome has one of its own', async () => {
  let builds = 0;
  const counted: typeof buildIndex = async (...given) => {
    builds += 1;
    return buildIndex(...given);
  };
  const { sync, server } = await open({ sync: { buildIndex: counted, stores: [] } });
  const first = await sync.run();
  const second = await sync.run();
  first.index.close();
  expect([builds, second.index.search().total]).toEqual([1, 400]);
  server.change({ revision: 1 });
  const third = await sync.run();
  expect([builds, third.index.rows]).toEqual([2, 400]);
});

describe('a process that ends while it fetches', () => {
  /** How many pages of each group the API was asked for. */
  function pagesByGroup({ server }: SyncFixture): Map<string, number> {
    const pages = new Map<string, Set<string>>();
    for (const { path, group } of server.requests()) {
      const page = /[?&]page=(\d+)/.exec(path)?.[1];
      if (page === undefined || group === undefined) continue;
      pages.set(group, (pages.get(group) ?? new Set()).add(page));
    }
    return new Map([...pages].map(([group, asked]) => [group, asked.size]));
  }

  async function interrupt(fixture: SyncFixture, afterPages: number): Promise<void> {
    const controller = new AbortController();
    const run = fixture.sync.run({
      signal: controller.signal,
      onProgress({ phase, pages }) {
        if (phase === 'fetching' && pages === afterPages) controller.abort(new Error('ended'));
      },
    });
    await expect(run).rejects.toThrow('ended');
  }

  test('costs the pages in flight: the next one asks for no page that was stored', async () => {
    const calm = await open();
    await calm.sync.run();
    const all = calm.pagesAsked().length;
    for (const afterPages of [1, 5, 8]) {
      const first = await open({ client: { maxInFlight: 4 } });
      await interrupt(first, afterPages);
      const next = await reopen(first);
      const { pages, reusedPages, manifest } = await next.sync.run();
      expect(reusedPages).toBe(afterPages);
      expect(manifest.rows).toBe(400);
      expect(next.client.getStats().pages).toBe(pages - afterPages);
      expect(next.pagesAsked().length).toBeLessThanOrEqual(all + 4);
      expect(next.store.published?.bundles).toEqual(calm.store.published?.bundles);
    }
  });

  describe('of which a part was fetched before another process published', () => {
    test('publishes none of it, in this process and in the next', async () => {
      for (const isRestarted of [true, false]) {
        const first = await open({ client: { maxInFlight: 2 } });
        await first.sync.run();
        first.server.change({ revision: 1 });
        await interrupt(first, 5);
        first.server.change({ revision: 2 });
        const other = createCatalogSync({ ...first.options, files: createMemoryFileSystem() });
        const newer = await other.run();
        const published = first.store.published?.bundles;
        const next = isRestarted ? await reopen(first) : first;
        const { manifest } = await next.sync.run();
        expect(manifest.generation).toBe(newer.manifest.generation + 1);
        expect(next.store.published?.bundles).toEqual(published);
        await other.close();
      }
    });

    test('and what the backup alone has counts too', async () => {
      const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
      const first = await open({ client: { maxInFlight: 2 }, sync: { backup, stores: [] } });
      await interrupt(first, 5);
      first.server.change({ revision: 2 });
      const other = createCatalogSync({ ...first.options, files: createMemoryFileSystem() });
      await other.run();
      const { reusedPages } = await (await reopen(first)).sync.run();
      expect(reusedPages).toBe(0);
      await other.close();
    });

    test('is gone on with when its own process published before it began', async () => {
      const first = await open({ client: { maxInFlight: 2 } });
      await first.sync.run();
      first.server.change({ revision: 1 });
      await interrupt(first, 5);
      const next = await reopen(first);
      const { pages } = await next.sync.run();
      expect(next.client.getStats().pages).toBe(pages - 5);
    });
  });

  test('costs them all when it is too long ago, and those of the last generation are still known', async () => {
    const clock = createFakeClock();
    const first = await open({ sync: { clock, resumeWithinMs: 60_000 } });
    await first.sync.run();
    first.server.change({ revision: 1 });
    await interrupt(first, 5);
    await clock.advance(60_001);
    const next = await reopen(first);
    const { pages, reusedPages, manifest } = await next.sync.run();
    expect(next.client.getStats()).toMatchObject({ pages, unchangedPages: reusedPages });
    expect([reusedPages > 0, manifest.syncedAtEpochMs]).toEqual([true, clock.epochMs()]);
    const last = await reopen(next);
    expect(await last.sync.run()).toMatchObject({ pages, reusedPages: pages });
  });

  test('or whose machine loses power at any byte, ends in the same catalog with the next one', async () => {
    const calm = await open();
    await calm.sync.run();
    const random = seededRandom(7);
    let died = 0;
    for (let run = 0; run < POWER_LOSSES; run += 1) {
      const first = await open();
      const { files } = first;
      // After it has its directory; then it writes 60 kB.
      const onProgress = ({ phase, pages }: SyncProgress): void => {
        if (phase === 'fetching' && pages === 0) files.dieAfterBytes = random() * 60_000;
      };
      const ended = await first.sync.run({ onProgress }).catch((error: unknown) => error);
      if (ended instanceof CatalogPagesError) died += 1;
      const how = random() < 0.5 ? 'prefix' : 'sectors';
      const next = await reopen(first, { files: files.crash(how, random) });
      const { manifest, keptGroups } = await next.sync.run();
      const seen = { run, how, rows: manifest.rows, keptGroups };
      expect(seen).toEqual({ run, how, rows: 400, keptGroups: [] });
      expect(next.store.published?.bundles).toEqual(calm.store.published?.bundles);
    }
    expect(died).toBeGreaterThan(POWER_LOSSES / 4);
  });

  test('loses no row of the group that was fetched half when the API has changed meanwhile', async () => {
    const calm = await open({ api: { rows: 1_000 } });
    await calm.sync.run();
    const whole = pagesByGroup(calm);
    for (const rows of [1, -1, 60]) {
      const first = await open({ api: { rows: 1_000 }, client: { maxInFlight: 2 } });
      await interrupt(first, 6);
      const half = [...pagesByGroup(first)].find(
        ([group, pages]) => pages < (whole.get(group) ?? 0),
      );
      first.server.drift(half?.[0] ?? 'no group is fetched half', rows);
      const next = await reopen(first);
      await next.sync.run();
      const fresh = await reopen(next, { files: createMemoryFileSystem(), stores: [next.store] });
      const before = namesOf(next.store.published?.bundles);
      await fresh.sync.run();
      expect(before).toEqual(namesOf(fresh.store.published?.bundles));
    }
  });
});

test('a full disk ends the sync with a typed error, and the next one goes on where it ended', async () => {
  const { sync, files, store, server } = await open();
  const { manifest } = await sync.run();
  files.intercept = ({ kind, name }) => {
    if (kind !== 'write' || !name.includes('.page')) return;
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  server.change({ revision: 1 });
  const error: unknown = await sync.run().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CatalogPagesError);
  expect(error).toMatchObject({ reason: 'disk-full', retryable: true });
  expect(store.published?.manifest).toBe(manifest);
  files.intercept = () => {};
  expect((await sync.run()).manifest).toMatchObject({ complete: true, rows: 400 });
});

test('a disk that hangs ends the sync after its limit', async () => {
  const clock = createFakeClock();
  const disk = createMemoryFileSystem();
  let onHang = (): void => {};
  const hanging = new Promise<void>((resolve) => {
    onHang = resolve;
  });
  const files: FileSystem = {
    ...disk,
    rename(from, to) {
      if (!from.includes('.page')) return disk.rename(from, to);
      onHang();
      return new Promise(() => {});
    },
  };
  const { sync } = await open({ sync: { clock, files } });
  const run = sync.run();
  await hanging;
  await Promise.all([
    expect(run).rejects.toMatchObject({ code: 'CATALOG_PAGES', reason: 'io' }),
    clock.advance(5_000),
  ]);
});

test('a directory has one process', async () => {
  const { client, lock, files, sync } = await open();
  await sync.run();
  const other = createCatalogSync({ client, lock, files, directory: '/pages' });
  await expect(other.run()).rejects.toMatchObject({ code: 'CATALOG_PAGES', reason: 'locked' });
});
