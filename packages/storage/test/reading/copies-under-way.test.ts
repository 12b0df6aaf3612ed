import { randomBytes } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import { createStorage } from '../../src/create-storage.ts';
import { freshDirectory } from '../directory.ts';

const COPY_BYTES = 900_000;
const MAX_BYTES = 3_000_000;

/** What a directory held at the most, of files and bytes, at the end of any write to it. */
interface Peak {
  files: number;
  bytes: number;
}

function sizesIn(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => {
    // It may be renamed or removed between the two calls.
    const status = statSync(join(directory, name), { throwIfNoEntry: false });
    return status === undefined ? [] : [status.size];
  });
}

function measure(directory: string): Peak {
  const sizes = sizesIn(directory);
  return { files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** A disk for one directory, which is written once `mayWrite` resolves, and all else in memory. */
function filesOn(directory: string, peak: Peak, mayWrite: Promise<void>): FileSystem {
  const memory = createMemoryFileSystem();
  const at = (path: string): FileSystem => (path.startsWith(directory) ? nodeFileSystem : memory);
  const note = (): void => {
    const now = measure(directory);
    peak.files = Math.max(peak.files, now.files);
    peak.bytes = Math.max(peak.bytes, now.bytes);
  };
  return {
    async open(path, mode) {
      const file = await at(path).open(path, mode);
      if (at(path) === memory) return file;
      note();
      const write = async (...given: Parameters<typeof file.write>): Promise<number> => {
        await mayWrite;
        return file.write(...given).finally(note);
      };
      return { ...file, write };
    },
    list: (path) => at(path).list(path),
    makeDirectory: (path) => at(path).makeDirectory(path),
    syncDirectory: (path) => at(path).syncDirectory(path),
    rename: (from, to) => at(from).rename(from, to),
    link: (from, to) => at(from).link(from, to),
    copy: (from, to) => at(from).copy(from, to),
    remove: (path) => at(path).remove(path),
    status: (path) => at(path).status(path),
    readWhole: (path) => at(path).readWhole(path),
  };
}

test.each([
  ['60 keys', 60, 10_000],
  ['7 keys, written again and again, with room for two', 7, 2],
])(
  'while 60 uploads are under way, no more is on the disk than local copies may take: %s',
  async (_, keys, maxEntries) => {
    const directory = await freshDirectory();
    const peak: Peak = { files: 0, bytes: 0 };
    const { promise: allAreUnderWay, resolve: beginWriting } = Promise.withResolvers<void>();
    // An upload waits for the copy that its key has already.
    if (keys < 60) beginWriting();
    const storage = createStorage({
      backends: [createMemoryBackend({ name: 'primary' })],
      journal: { directory: '/storage' },
      local: { directory, maxBytes: MAX_BYTES, maxEntries },
      files: filesOn(directory, peak, allAreUnderWay),
    });
    const bytes = randomBytes(COPY_BYTES);
    const uploads: Promise<unknown>[] = [];
    for (let number = 0; number < 60; number += 1) {
      uploads.push(storage.upload(`k${number % keys}`, bytes));
      // One after the other: of those that begin at once, the last ones alone are copied.
      if (number % 2 === 0) await uploads.at(-1);
    }
    await Promise.all(uploads);
    beginWriting();
    await storage.close();
    const most = Math.min(maxEntries, Math.floor(MAX_BYTES / COPY_BYTES));
    expect(peak).toEqual({ files: most, bytes: expect.any(Number) });
    expect(peak.bytes).toBeLessThanOrEqual(MAX_BYTES);
    // What is counted is what is there.
    const { files, bytes: left } = measure(directory);
    expect(files).toBe(most);
    expect(left).toBeGreaterThan(most * COPY_BYTES);
  },
);

test('what a process that died amid a copy has left is removed', async () => {
  const directory = await freshDirectory();
  await mkdir(directory, { recursive: true });
  const name = `${'a'.repeat(64)}.copy.part`;
  writeFileSync(join(directory, name), randomBytes(COPY_BYTES));
  const storage = createStorage({
    backends: [createMemoryBackend({ name: 'primary' })],
    journal: { directory: '/storage' },
    local: { directory, maxBytes: MAX_BYTES },
    files: filesOn(directory, { files: 0, bytes: 0 }, Promise.resolve()),
  });
  await storage.ready();
  expect(readdirSync(directory)).toEqual([]);
  await storage.close();
});
