import { describe, expect, test } from '@jest/globals';
import {
  CatalogFencedError,
  CatalogLockLostError,
  CatalogLockedError,
  CatalogPublishError,
  CatalogSyncClosedError,
  buildIndex,
  createBackup,
} from '@holdfast/catalog';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createMemoryStore } from '../memory-store.ts';
import { type SyncFixture, open, reopen } from './sync-fixture.ts';

test('a sync publishes one whole generation to every store, the backup and the index, row for row', async () => {
  const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
  const { sync, store } = await open({ sync: { backup, buildIndex } });
  const phases: string[] = [];
  const { manifest, index, published, failed, keptGroups } = await sync.run({
    onProgress: ({ phase }) => phases.push(phase),
  });
  const places = { published, failed, keptGroups };
  expect(places).toEqual({ published: ['memory-store', 'backup'], failed: [], keptGroups: [] });
  expect(manifest).toMatchObject({ generation: 1, token: 1, rows: 400, complete: true });
  expect(manifest.groups.reduce((rows, group) => rows + group.rows, 0)).toBe(400);
  expect([...new Set(phases)]).toEqual(['locking', 'fetching', 'staging', 'publishing']);
  const stored = store.published?.bundles ?? [];
  expect(stored).toHaveLength(400);
  const reader = await backup.open();
  const { rows, total } = index.search({ limit: 1_000 });
  expect(total).toBe(400);
  for (const { document, name } of rows) {
    expect(stored[document]?.name).toBe(name);
    expect(await reader.readRow(document)).toEqual(stored[document]);
  }
  await reader.close();
});

test('without a store and a backup the generation is in memory', async () => {
  const { sync } = await open({ sync: { stores: [] } });
  const { index, published } = await sync.run();
  expect([index.rows, published]).toEqual([400, []]);
});

test('a second call joins the first, and both have its outcome', async () => {
  const { sync, client } = await open();
  const [first, second] = await Promise.all([sync.run(), sync.run()]);
  expect(second).toBe(first);
  expect(client.getStats().pages).toBe(first.pages);
});

describe('nothing is published', () => {
  test('by who has lost the lock', async () => {
    const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
    const { sync, store, lock } = await open({ sync: { backup } });
    for (const at of ['fetching', 'staging', 'publishing']) {
      const run = sync.run({
        onProgress({ phase }) {
          if (phase === at) lock.lose();
        },
      });
      await expect(run).rejects.toThrow(CatalogLockLostError);
      expect(store.published).toBe(undefined);
      expect(await backup.newest()).toBe(undefined);
    }
  });

  test('anywhere else when a store knows a newer leader', async () => {
    const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
    const newer = createMemoryStore('first');
    const other = createMemoryStore('second');
    const { sync } = await open({ sync: { backup, stores: [newer, other] } });
    const manifest = {
      generation: 9,
      token: 9,
      rows: 0,
      syncedAtEpochMs: 0,
      complete: true,
      groups: [],
    };
    const run = sync.run({
      onProgress({ phase }) {
        if (phase === 'publishing') newer.published = { manifest, bundles: [] };
      },
    });
    await expect(run).rejects.toThrow(CatalogFencedError);
    expect([other.published, await backup.newest()]).toEqual([undefined, undefined]);
    // The next one is above it.
    expect((await sync.run()).manifest).toMatchObject({ generation: 10, token: 10 });
  });

  test('where the fence has moved on again, after one more try', async () => {
    const { sync, store, lock } = await open();
    await sync.run();
    let tries = 0;
    const run = sync.run({
      onProgress({ phase }) {
        if (phase !== 'staging' || store.token > lock.token) return;
        tries += 1;
        store.token = lock.token + 100;
      },
    });
    await expect(run).rejects.toThrow(CatalogFencedError);
    expect([tries, store.published?.manifest.generation]).toEqual([2, 1]);
  });

  test('when the index cannot be built, at its beginning or in its middle', async () => {
    for (const batches of [0, 2]) {
      const failing: typeof buildIndex = async (given) => {
        let left = batches;
        for await (const _ of given) if ((left -= 1) < 0) break;
        throw new Error('no index');
      };
      const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
      const { sync, store } = await open({ sync: { backup, buildIndex: failing } });
      await expect(sync.run()).rejects.toThrow('no index');
      expect([store.published, await backup.newest()]).toEqual([undefined, undefined]);
    }
  });

  test('while another process has the lock', async () => {
    const { sync, lock } = await open();
    const lease = await lock.acquire();
    await expect(sync.run()).rejects.toThrow(CatalogLockedError);
    await lease.release();
    expect((await sync.run()).manifest.generation).toBe(2);
  });

  test('after an abort, and a closed sync runs no more', async () => {
    const { sync, store } = await open();
    const controller = new AbortController();
    const run = sync.run({
      signal: controller.signal,
      onProgress: ({ phase }) => phase === 'staging' && controller.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
    const closing = sync.run();
    await sync.close();
    await expect(closing).rejects.toThrow(CatalogSyncClosedError);
    await expect(sync.run()).rejects.toThrow(CatalogSyncClosedError);
    expect(store.published).toBe(undefined);
  });
});

describe('a lock that has lost its last token', () => {
  /** A store that has seen 32 tokens, of which the first published. */
  async function openLost(): Promise<SyncFixture> {
    const fixture = await open();
    await fixture.sync.run();
    fixture.store.token = 32;
    fixture.lock.token = 0;
    return fixture;
  }

  test('is told of the token that a store has seen: the first sync publishes above it', async () => {
    const { sync, client } = await openLost();
    const asked = client.getStats().pages;
    const { manifest, pages, published } = await sync.run();
    expect([manifest.token, published]).toEqual([33, ['memory-store']]);
    expect(client.getStats().pages - asked).toBe(pages);
    expect((await sync.run()).manifest.token).toBe(34);
  });

  test('is not asked again when another process has it meanwhile', async () => {
    const { sync, lock, store } = await openLost();
    const acquire = lock.acquire.bind(lock);
    let asked = 0;
    lock.acquire = async (options) => {
      asked += 1;
      if (asked > 1) throw new CatalogLockedError(lock.name);
      return acquire(options);
    };
    await expect(sync.run()).rejects.toThrow(CatalogLockedError);
    expect([asked, store.published?.manifest.generation]).toEqual([2, 1]);
  });

  test('and the error names the token that the store has seen', async () => {
    const { store } = await openLost();
    const staged = store.stage({ generation: 2, token: 2 });
    await expect(staged).rejects.toThrow(/memory-store has generation 1, and has seen token 32; /);
    await expect(staged).rejects.toMatchObject({ generation: 1, token: 32 });
  });
});

describe('a place that fails', () => {
  test('at any step is left out and named, and the others have the generation', async () => {
    for (const step of ['current', 'staging', 'publishing'] as const) {
      const weak = createMemoryStore('weak');
      const alone = await open();
      const { store } = alone;
      const both = await reopen(alone, { stores: [weak, store] });
      const failure = new Error(`down at ${step}`);
      if (step === 'current') weak.failure = failure;
      const { published, failed } = await both.sync.run({
        onProgress({ phase }) {
          if (phase === step) weak.failure = failure;
        },
      });
      expect({ published, failed }).toEqual({
        published: ['memory-store'],
        failed: [{ target: 'weak', cause: failure }],
      });
      expect(store.published?.bundles).toHaveLength(400);
    }
  });

  test('is an error when all do, and what was fetched is published later without the API', async () => {
    const { sync, store, client, pagesAsked } = await open();
    store.failure = new Error('down');
    await expect(sync.run()).rejects.toThrow(CatalogPublishError);
    store.failure = undefined;
    const { pages } = client.getStats();
    const asked = pagesAsked().length;
    expect((await sync.run()).manifest.rows).toBe(400);
    expect([client.getStats().pages, pagesAsked().length]).toEqual([pages, asked]);
  });
});
