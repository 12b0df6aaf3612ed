import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Bundle, createBackup } from '../../src/index.ts';
import {
  DIRECTORY,
  backupNames,
  bundlesOf,
  inParts,
  manifestOf,
  openFixture,
  putFile,
  readNewest,
} from '../bundles.ts';

test.each([0, 1, 63, 64, 65, 1_000])('%i bundles come back in their order', async (rows) => {
  for (const codec of ['zstd', 'gzip'] as const) {
    const { backup, write } = openFixture({ codec });
    await write(rows);
    expect(await readNewest(backup)).toEqual({ generation: 1, bundles: bundlesOf(rows) });
  }
});

test('on a real disk a backup is written, read and replaced', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'catalog-backup-'));
  try {
    const directory = join(parent, 'backups');
    const backup = createBackup({ directory });
    for (const generation of [1, 2, 3]) {
      const bundles = bundlesOf(500, generation);
      await backup.write(manifestOf(500, generation), inParts(bundles));
      expect(await readNewest(backup)).toEqual({ generation, bundles });
    }
    const names = (await readdir(directory)).filter((name) => name.startsWith('catalog-'));
    expect(names.toSorted()).toEqual(['catalog-1-2.backup', 'catalog-1-3.backup']);
  } finally {
    await rm(parent, { recursive: true });
  }
});

test('any row is read alone, and any frame', async () => {
  const { backup, write } = openFixture();
  await write(200);
  const bundles = bundlesOf(200);
  const reader = await backup.open();
  expect([reader.rows, reader.frames, reader.skipped]).toEqual([200, 4, []]);
  for (const row of [0, 63, 64, 127, 128, 199]) {
    expect(await reader.readRow(row)).toEqual(bundles[row]);
  }
  for (const row of [-1, 200, 0.5 + 200, Number.NaN]) {
    expect(await reader.readRow(row)).toBeUndefined();
  }
  expect(await reader.readFrame(3)).toEqual(bundles.slice(192));
  await expect(reader.readFrame(4)).rejects.toThrow(RangeError);
  await reader.close();
  await expect(reader.readRow(0)).rejects.toMatchObject({ code: 'CATALOG_BACKUP_CLOSED' });
});

test('the last two are kept, and an open one stays readable', async () => {
  const { backup, files, write } = openFixture();
  await write(100, 1);
  const reader = await backup.open();
  await write(100, 2);
  await write(100, 3, 2);
  expect(backupNames(files)).toEqual(['catalog-1-2.backup', 'catalog-2-3.backup']);
  expect(await reader.readFrame(0)).toEqual(bundlesOf(64, 1));
  expect((await readNewest(backup)).generation).toBe(3);
});

test('the generation after 9 is newer than 9', async () => {
  const { backup, write } = openFixture();
  for (const generation of [8, 9, 10]) await write(64, generation);
  expect((await readNewest(backup)).generation).toBe(10);
});

test('a damaged one does not count as kept: the whole one before it stays', async () => {
  const { backup, files, write } = openFixture();
  await write(100, 1);
  await write(100, 2);
  const content = files.content('catalog-1-2.backup');
  content.fill(0, content.length - 20);
  await write(100, 3);
  expect(backupNames(files)).toContain('catalog-1-1.backup');
  for (const generation of [4, 5]) await write(100, generation);
  expect(backupNames(files)).toEqual(['catalog-1-4.backup', 'catalog-1-5.backup']);
  expect((await readNewest(backup)).generation).toBe(5);
});

test('a backup under an older token is refused, however damaged the newer one is', async () => {
  const { backup, files, write } = openFixture();
  await write(100, 7, 5);
  files.content('catalog-5-7.backup').fill(0);
  await expect(write(100, 8, 4)).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_FENCED',
    token: 4,
    currentToken: 5,
    outcome: 'not-applied',
  });
  expect(backupNames(files)).toEqual(['catalog-5-7.backup']);
  await write(100, 8, 5);
  expect((await readNewest(backup)).generation).toBe(8);
});

test('a generation before the published one is refused under the same token; the same one is written again', async () => {
  const { backup, write } = openFixture();
  await write(64, 2);
  await expect(write(64, 1)).rejects.toMatchObject({ code: 'CATALOG_BACKUP_FENCED' });
  await write(64, 2);
  expect((await readNewest(backup)).generation).toBe(2);
});

test('a writer that was taken over while it stood still publishes nothing', async () => {
  const clock = createFakeClock();
  const { backup, files } = openFixture({ clock });
  async function* suspended(): AsyncGenerator<Bundle[]> {
    yield bundlesOf(64);
    await putFile(files, 'owner.99', Buffer.from('{}'));
    await clock.advance(60_000);
  }
  await expect(backup.write(manifestOf(64), suspended())).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_LOCKED',
  });
  expect(backupNames(files)).toEqual([]);
});

test('a token that is published while an older leader writes stops it', async () => {
  const { backup, files } = openFixture();
  async function* slow(): AsyncGenerator<Bundle[]> {
    yield bundlesOf(64);
    await putFile(files, 'catalog-9-9.backup', Buffer.from('anything'));
  }
  await expect(backup.write(manifestOf(64, 2, 2), slow())).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_FENCED',
    currentToken: 9,
  });
  expect(backupNames(files)).toEqual(['catalog-9-9.backup']);
});

test('a second writer of the directory is refused while the first one writes', async () => {
  const { backup, files } = openFixture();
  const other = openFixture({}, files);
  let second: unknown;
  async function* chunks(): AsyncGenerator<Bundle[]> {
    second = await other.write(64, 2).catch((error: unknown) => error);
    yield bundlesOf(64);
  }
  await backup.write(manifestOf(64), chunks());
  expect(second).toMatchObject({
    code: 'CATALOG_BACKUP_LOCKED',
    retryable: true,
    outcome: 'not-applied',
  });
  await other.write(64, 2);
  expect((await readNewest(backup)).generation).toBe(2);
});

test.each([
  [63, /63 of 64/],
  [200, /more than 64/],
])('%i rows where the manifest has 64 are not published', async (rows, seen) => {
  const { backup, files, write } = openFixture();
  await write(64, 1);
  const written = backup.write(manifestOf(64, 2), inParts(bundlesOf(rows)));
  await expect(written).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_WRITE_FAILED',
    reason: 'rows',
    message: expect.stringMatching(seen),
  });
  expect(backupNames(files)).toEqual(['catalog-1-1.backup']);
});

test('an error of the chunks comes through as it is, and leaves nothing', async () => {
  const { backup, files } = openFixture();
  const failure = Object.assign(new Error('the page failed'), { code: 'ENOSPC' });
  async function* failing(): AsyncGenerator<Bundle[]> {
    yield bundlesOf(64);
    throw failure;
  }
  await expect(backup.write(manifestOf(128), failing())).rejects.toBe(failure);
  const bad = bundlesOf(64).map((bundle) => Object.assign(bundle, { price: Number.NaN }));
  await expect(backup.write(manifestOf(64), inParts(bad))).rejects.toMatchObject({
    code: 'CATALOG_DOCUMENT_INVALID',
  });
  expect(backupNames(files)).toEqual([]);
});

test('an abort ends a write whose chunks hang, and leaves nothing', async () => {
  const { backup, files } = openFixture();
  const controller = new AbortController();
  let isReturned = false;
  const hanging = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        controller.abort(new Error('stopped'));
        return new Promise<never>(() => {});
      },
      return: () => {
        isReturned = true;
        return new Promise<never>(() => {});
      },
    }),
  };
  const { signal } = controller;
  await expect(backup.write(manifestOf(64), hanging, { signal })).rejects.toThrow('stopped');
  expect([isReturned, backupNames(files)]).toEqual([true, []]);
  await expect(backup.open({ signal })).rejects.toThrow('stopped');
  await expect(backup.salvage({ signal })).rejects.toThrow('stopped');
});

test('an abort ends the reading of a backup and of a salvage between two frames', async () => {
  const { backup, write } = openFixture();
  await write(300);
  const reader = await backup.open();
  for (const read of [
    (signal: AbortSignal) => reader.readAll({ signal }),
    (signal: AbortSignal) => backup.salvage({ signal }),
  ]) {
    const controller = new AbortController();
    let rows = 0;
    const reading = async (): Promise<void> => {
      for await (const frame of await read(controller.signal)) {
        rows += frame.length;
        controller.abort(new Error('stopped'));
      }
    };
    await expect(reading()).rejects.toThrow('stopped');
    expect(rows).toBe(64);
  }
  expect(await reader.readRow(299)).toEqual(bundlesOf(300)[299]);
  await reader.close();
});

test('a bundle of megabytes ends its frame, and the frames stay small', async () => {
  const { backup } = openFixture();
  const bundles = bundlesOf(130).map((bundle, row) =>
    row % 10 === 0 ? Object.assign(bundle, { description: 'é'.repeat(600_000) }) : bundle,
  );
  await backup.write(manifestOf(130), inParts(bundles));
  const reader = await backup.open();
  expect(reader.frames).toBe(7);
  for (const row of [9, 10, 11, 129]) expect(await reader.readRow(row)).toEqual(bundles[row]);
  await reader.close();
});

test.each([
  ['manifest.token', { token: -1 }],
  ['manifest.generation', { generation: 1.5 }],
  ['manifest.rows', { rows: Number.NaN }],
])('%s that no name can have is refused', async (field, change) => {
  const { backup } = openFixture();
  const manifest = { ...manifestOf(0), ...change };
  await expect(backup.write(manifest, inParts([]))).rejects.toMatchObject({ field });
});

test.each([
  [{ keep: 0 }, 'keep'],
  [{ rowsPerFrame: 63 }, 'rowsPerFrame'],
  [{ directory: '' }, 'directory'],
])('the option %o is refused', (options, field) => {
  expect(() => createBackup({ directory: DIRECTORY, ...options })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
