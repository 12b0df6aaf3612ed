import { describe, expect, test } from '@jest/globals';
import {
  type Bundle,
  CatalogGenerationShrunkError,
  CatalogPublishError,
  CatalogUnauthorizedError,
  createBackup,
} from '@holdfast/catalog';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { namesOf, open, reopen } from './sync-fixture.ts';

describe('a group that fails', () => {
  const group = 'Standard Fixed';

  test('is tried once more in the same sync', async () => {
    const { sync, server } = await open();
    server.setFaults([{ group, page: 2, times: 1, fault: { kind: 'status', status: 503 } }]);
    const { manifest, keptGroups } = await sync.run();
    expect([manifest.complete, keptGroups, manifest.rows]).toEqual([true, [], 400]);
  });

  test('keeps its rows of the generation before, and the manifest says so', async () => {
    const { sync, server, store } = await open();
    await sync.run();
    const before = namesOf(store.published?.bundles);
    server.setFaults([{ group, page: 2, fault: { kind: 'status', status: 503 } }]);
    const { manifest, keptGroups } = await sync.run();
    expect(keptGroups).toMatchObject([{ name: group, generation: 1, cause: { status: 503 } }]);
    expect(manifest).toMatchObject({ generation: 2, complete: false, rows: 400 });
    const generations = manifest.groups.map((each) => [each.name === group, each.generation]);
    expect(generations).toEqual(
      manifest.groups.map(({ name }) => [name === group, name === group ? 1 : 2]),
    );
    expect(namesOf(store.published?.bundles)).toEqual(before);
    server.setFaults([]);
    expect((await sync.run()).manifest.complete).toBe(true);
  });

  test('has them from a store or the backup when this process has no pages of it', async () => {
    const backup = createBackup({ directory: '/backups', files: createMemoryFileSystem() });
    let fixture = await open({ sync: { backup } });
    await fixture.sync.run();
    const before = namesOf(fixture.store.published?.bundles);
    fixture.server.setFaults([{ group, fault: { kind: 'status', status: 503 } }]);
    fixture = await reopen(fixture, { files: createMemoryFileSystem() });
    expect((await fixture.sync.run()).keptGroups).toMatchObject([{ name: group, generation: 1 }]);
    expect(namesOf(fixture.store.published?.bundles)).toEqual(before);
    fixture = await reopen(fixture, { files: createMemoryFileSystem(), stores: [] });
    const { keptGroups, manifest } = await fixture.sync.run();
    expect(keptGroups).toMatchObject([{ name: group, generation: 1 }]);
    expect(manifest).toMatchObject({ generation: 3, rows: 400 });
    const reader = await backup.open();
    const bundles: Bundle[] = [];
    for await (const part of reader.readAll()) bundles.push(...part);
    await reader.close();
    expect(namesOf(bundles)).toEqual(before);
  });

  test('is asked for again after a crash, though its rows of the generation before were kept', async () => {
    const first = await open();
    await first.sync.run();
    first.server.setFaults([{ group, fault: { kind: 'status', status: 503 } }]);
    first.store.failure = new Error('down');
    await expect(first.sync.run()).rejects.toThrow(CatalogPublishError);
    first.store.failure = undefined;
    const next = await reopen(first);
    expect((await next.sync.run()).keptGroups).toMatchObject([{ name: group, generation: 1 }]);
    next.server.setFaults([]);
    expect((await next.sync.run()).manifest.complete).toBe(true);
  });

  test('ends the sync when its rows are nowhere, unless the caller takes the loss', async () => {
    const fixture = await open();
    const { manifest } = await fixture.sync.run();
    fixture.server.setFaults([{ group, fault: { kind: 'status', status: 503 } }]);
    const next = await reopen(fixture, { files: createMemoryFileSystem() });
    const { store } = next;
    store.open = () => Promise.reject(new Error('it cannot be read'));
    await expect(next.sync.run()).rejects.toThrow(CatalogGenerationShrunkError);
    expect(store.published?.manifest).toBe(manifest);
    const outcome = await next.sync.run({ allowShrink: true });
    expect(outcome.keptGroups).toMatchObject([{ name: group, generation: undefined }]);
  });

  test('is nothing when all do: the error is that of the API, and nothing is published', async () => {
    const { sync, server, store, lock } = await open();
    const { manifest } = await sync.run();
    server.setFaults([{ fault: { kind: 'status', status: 403 } }]);
    await expect(sync.run()).rejects.toThrow(CatalogUnauthorizedError);
    server.setFaults([{ operation: 'catalogue', fault: { kind: 'status', status: 503 } }]);
    await expect(sync.run()).rejects.toMatchObject({ code: 'CATALOG_API_UNAVAILABLE' });
    expect(store.published?.manifest).toBe(manifest);
    server.setFaults([]);
    expect((await sync.run()).manifest).toMatchObject({ complete: true, token: lock.token });
  });
});

test('a name that several groups have is published once, and the next sync expects both', async () => {
  const bundles = Array.from({ length: 120 }, (_, row) => ({
    name: `esim_${row}`,
    duration: 7,
    dataAmount: 1_000,
    unlimited: false,
    price: row,
    countries: [{ name: 'Andorra', region: 'Europe', iso: 'AD' }],
    groups: row < 80 ? ['first', 'second'] : ['second'],
  }));
  const { sync, store } = await open({ api: { bundles } });
  for (let generation = 1; generation <= 2; generation += 1) {
    const { manifest, index } = await sync.run();
    expect(manifest.groups).toEqual([
      { name: 'first', rows: 80, generation },
      { name: 'second', rows: 40, generation, duplicates: 80 },
    ]);
    const { rows } = index.search({ limit: 1_000 });
    expect(rows).toHaveLength(120);
    for (const { document, name } of rows) {
      expect(store.published?.bundles[document]?.name).toBe(name);
    }
  }
});
