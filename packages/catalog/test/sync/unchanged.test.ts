import { expect, test } from '@jest/globals';
import { type Backup, createBackup } from '@holdfast/catalog';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { namesOf, open, reopen } from './sync-fixture.ts';

interface WatchedBackup {
  readonly backup: Backup;
  readonly files: MemoryFileSystem;
  /** How each generation came into the backup. */
  readonly ways: string[];
}

function watchedBackup(): WatchedBackup {
  const files = createMemoryFileSystem();
  const backup = createBackup({ directory: '/backups', files });
  const ways: string[] = [];
  const watched: Backup = {
    ...backup,
    async write(...given) {
      ways.push('written');
      return backup.write(...given);
    },
    async renew(...given) {
      const renewed = await backup.renew(...given);
      if (renewed !== undefined) ways.push('copied');
      return renewed;
    },
  };
  return { backup: watched, files, ways };
}

async function backedUp(backup: Backup): Promise<{ generation: number; names: string[] }> {
  const reader = await backup.open();
  const names: string[] = [];
  for await (const bundles of reader.readAll()) names.push(...namesOf(bundles));
  await reader.close();
  return { generation: reader.manifest.generation, names: names.toSorted() };
}

test('a generation of the same bundles is copied in the backup, and one of others is written', async () => {
  const { backup, ways } = watchedBackup();
  const { sync, server, store } = await open({ sync: { backup } });
  for (const way of ['written', 'copied', 'copied']) {
    const { manifest, published, failed } = await sync.run();
    expect({ published, failed }).toEqual({ published: ['memory-store', 'backup'], failed: [] });
    expect(ways.at(-1)).toBe(way);
    const names = namesOf(store.published?.bundles);
    expect(await backedUp(backup)).toEqual({ generation: manifest.generation, names });
  }
  server.change({ rows: 390 });
  await sync.run();
  expect(ways.at(-1)).toBe('written');
  expect((await backedUp(backup)).names).toHaveLength(390);
});

test.each<[string, (content: Buffer) => void]>([
  ['one bit flipped', (content) => void (content[200] = (content[200] ?? 0) ^ 1)],
  ['nothing left of it', (content) => void content.fill(0)],
])('the backup has all of it again, though the copy before has %s', async (_, damage) => {
  const { backup, files, ways } = watchedBackup();
  const { sync } = await open({ sync: { backup, stores: [] } });
  await sync.run();
  for (const name of files.names()) if (name.endsWith('.backup')) damage(files.content(name));
  const { manifest, published } = await sync.run();
  expect([published, ways]).toEqual([['backup'], ['written', 'written']]);
  const { generation, names } = await backedUp(backup);
  expect([generation, names.length]).toEqual([manifest.generation, 400]);
});

test('what the backup did not take before, and what another process wrote, is not copied', async () => {
  const { backup, ways } = watchedBackup();
  let isFull = true;
  const filling: Backup = {
    ...backup,
    write: async (...given) => {
      if (isFull) throw new Error('the disk is full');
      return backup.write(...given);
    },
  };
  const fixture = await open({ sync: { backup: filling } });
  expect((await fixture.sync.run()).published).toEqual(['memory-store']);
  isFull = false;
  expect((await fixture.sync.run()).published).toEqual(['memory-store', 'backup']);
  const next = await reopen(fixture, { backup: filling });
  await next.sync.run();
  expect(ways).toEqual(['written', 'written']);
  await next.sync.run();
  expect(ways).toEqual(['written', 'written', 'copied']);
});
