import { crc32 } from 'node:zlib';
import { expect, test } from '@jest/globals';
import type { FileSystem } from '@holdfast/journal';
import { errno } from '@holdfast/journal/testing';
import type { Backup, Bundle } from '../../src/index.ts';
import {
  type Fixture,
  DIRECTORY,
  bundlesOf,
  openFixture,
  putFile,
  readNewest,
} from '../bundles.ts';

const NEWEST = 'catalog-1-2.backup';

/** Two generations of 200 rows; the file of the second is to be damaged in place. */
async function twoGenerations(): Promise<Fixture & { content: Buffer }> {
  const fixture = openFixture();
  await fixture.write(200, 1);
  await fixture.write(200, 2);
  return { ...fixture, content: fixture.files.content(NEWEST) };
}

/** Where each chunk begins. */
function framesOf(content: Buffer): number[] {
  const found: number[] = [];
  for (let at = content.indexOf('CATC'); at !== -1; at = content.indexOf('CATC', at + 1)) {
    found.push(at);
  }
  return found;
}

async function salvageAll(backup: Backup): Promise<{ bundles: Bundle[]; lostRows?: number }> {
  const salvage = await backup.salvage();
  const bundles: Bundle[] = [];
  for await (const frame of salvage) bundles.push(...frame);
  const { rows, lostRows } = salvage.report();
  expect(rows).toBe(bundles.length);
  return { bundles, ...(lostRows === undefined ? {} : { lostRows }) };
}

test('a damaged frame is not served: the backup before it is, and all other frames are salvaged', async () => {
  const { backup, content } = await twoGenerations();
  const at = (framesOf(content)[1] ?? 0) + 100;
  content[at] = (content[at] ?? 0) ^ 0x10;
  const reader = await backup.open();
  expect(reader.manifest.generation).toBe(1);
  expect(reader.skipped).toMatchObject([
    {
      file: `${DIRECTORY}/${NEWEST}`,
      reason: 'damaged',
      cause: { code: 'CATALOG_BACKUP_DAMAGED' },
    },
  ]);
  await reader.close();
  const all = bundlesOf(200, 2);
  expect(await salvageAll(backup)).toEqual({
    bundles: [...all.slice(0, 64), ...all.slice(128)],
    lostRows: 64,
  });
});

test('with no whole backup the error lists each file and its reason', async () => {
  const { backup, files, content } = await twoGenerations();
  content.fill(0, 30, 40);
  const other = files.content('catalog-1-1.backup');
  await putFile(files, 'catalog-1-1.backup', other.subarray(0, other.length - 100));
  await putFile(files, 'catalog-1-0.backup', Buffer.from('{"bundles":[]}, which is no backup'));
  await putFile(files, 'notes.txt', Buffer.from('of the operator'));
  await expect(backup.open()).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_UNAVAILABLE',
    tried: [
      { file: `${DIRECTORY}/catalog-1-2.backup`, reason: 'damaged' },
      { file: `${DIRECTORY}/catalog-1-1.backup`, reason: 'truncated' },
      { file: `${DIRECTORY}/catalog-1-0.backup`, reason: 'foreign' },
    ],
  });
});

test('an empty directory has no backup, and nothing to salvage', async () => {
  const { backup } = openFixture();
  const none = { code: 'CATALOG_BACKUP_UNAVAILABLE', tried: [] };
  await expect(backup.open()).rejects.toMatchObject(none);
  await expect(backup.salvage()).rejects.toMatchObject(none);
});

test('a backup that a newer version has written is told as newer', async () => {
  const { backup, content } = await twoGenerations();
  content.writeUInt16LE(2, 4);
  content.writeUInt32LE(crc32(content.subarray(0, 12)), 12);
  const reader = await backup.open();
  expect(reader.skipped).toMatchObject([{ reason: 'newer' }]);
  await reader.close();
});

test('a file under the name of another generation is foreign', async () => {
  const { backup, files, content } = await twoGenerations();
  await putFile(files, 'catalog-1-9.backup', content);
  const reader = await backup.open();
  expect(reader.skipped).toMatchObject([{ reason: 'foreign' }]);
  expect(reader.manifest.generation).toBe(2);
  await reader.close();
});

test('a frame that is damaged after the opening is not served', async () => {
  const { backup, content } = await twoGenerations();
  const reader = await backup.open();
  content.fill(0xff, 100, 110);
  await expect(reader.readFrame(0)).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_DAMAGED',
    reason: 'damaged',
  });
  expect(await reader.readFrame(1)).toEqual(bundlesOf(200, 2).slice(64, 128));
  await reader.close();
  expect((await readNewest(backup)).generation).toBe(1);
});

test('without footer and trailer all frames are salvaged', async () => {
  const { backup, files, content } = await twoGenerations();
  const footerAt = content.indexOf('{"version"');
  await putFile(files, NEWEST, content.subarray(0, footerAt));
  expect(await salvageAll(backup)).toEqual({ bundles: bundlesOf(200, 2) });
});

test('with header and footer lost all frames are salvaged', async () => {
  const { backup, files, content } = await twoGenerations();
  await putFile(files, NEWEST, content.subarray(16, content.length - 1));
  expect(await salvageAll(backup)).toEqual({ bundles: bundlesOf(200, 2) });
});

test('frames behind missing or added bytes are salvaged', async () => {
  const { backup, files, content } = await twoGenerations();
  const at = (framesOf(content)[1] ?? 0) + 50;
  const all = bundlesOf(200, 2);
  const parts = [content.subarray(0, at), Buffer.from('CATC and more'), content.subarray(at + 5)];
  await putFile(files, NEWEST, Buffer.concat(parts));
  expect((await salvageAll(backup)).bundles).toEqual([...all.slice(0, 64), ...all.slice(128)]);
});

test('a frame of an older file in the place of a newer one is not served', async () => {
  const { backup, files, content } = await twoGenerations();
  const older = files.content('catalog-1-1.backup');
  const [, from = 0, to = 0] = framesOf(older);
  const [, at = 0] = framesOf(content);
  older.copy(content, at, from, to);
  const { bundles } = await salvageAll(backup);
  const names = new Set(bundlesOf(200, 2).map(({ name }) => name));
  expect(bundles.every(({ name }) => names.has(name))).toBe(true);
  expect((await readNewest(backup)).generation).toBe(1);
});

test('a frame that is there twice is served once', async () => {
  const { backup, files, content } = await twoGenerations();
  const [from = 0, to = 0] = framesOf(content);
  const parts = [content.subarray(0, to), content.subarray(from, to), content.subarray(to)];
  await putFile(files, NEWEST, Buffer.concat(parts));
  expect((await salvageAll(backup)).bundles).toEqual(bundlesOf(200, 2));
});

test('around a block that the disk cannot read all other frames are salvaged', async () => {
  const { backup, files, write } = openFixture();
  await write(2_000, 1);
  const bytes = files.content('catalog-1-1.backup').length;
  expect(bytes).toBeGreaterThan(12_288);
  const hurt = { from: 4_096, to: 8_192 };
  const open: FileSystem['open'] = async (path, mode) => {
    const file = await files.open(path, mode);
    return {
      ...file,
      read: async (into, position) => {
        if (position < hurt.to && position + into.length > hurt.from) throw errno('EIO');
        return file.read(into, position);
      },
    };
  };
  const { backup: damaged } = openFixture({ files: { ...files, open } });
  await expect(damaged.open()).rejects.toMatchObject({ tried: [{ reason: 'unreadable' }] });
  const starts = [...framesOf(files.content('catalog-1-1.backup')), bytes];
  const untouched = starts.filter(
    (start, frame) => start >= hurt.to || (starts[frame + 1] ?? bytes) <= hurt.from,
  );
  const { bundles } = await salvageAll(damaged);
  // The last one is no frame but the end.
  expect(bundles.length).toBeGreaterThanOrEqual(64 * (untouched.length - 2));
  expect(bundles.length).toBeLessThan(2_000);
  expect((await readNewest(backup)).bundles).toHaveLength(2_000);
});
