import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { diskBackend } from '../../src/backends/disk/backend.ts';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import { bytesSource } from '../../src/object/body.ts';
import { honoursStorageBackendContract } from '../../src/contract.ts';
import { safeFileName } from '../../src/files/safe-file-name.ts';
import { freshDirectory } from '../directory.ts';
import { putOptions } from './put-options.ts';

describe('the memory backend', () => {
  honoursStorageBackendContract(async () => ({
    backend: createMemoryBackend(),
    close: async () => undefined,
  }));
});

describe('the disk backend', () => {
  honoursStorageBackendContract(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
    return {
      backend: diskBackend({ directory: join(directory, 'objects') }),
      close: () => rm(directory, { recursive: true, force: true }),
    };
  });
});

test('the files of writes that a crash has ended are deleted, and no others', async () => {
  const directory = await freshDirectory();
  const bytes = Buffer.from('bytes');
  const put = (key: string, operationId: string) =>
    diskBackend({ directory }).put(key, bytesSource(bytes), putOptions(bytes, operationId));
  await put('kept', 'first');
  const kept = safeFileName('default', 'kept');
  const other = safeFileName('default', 'other');
  const old = new Date(Date.now() - 7_200_000);
  const orphans = [`${kept}.dead.body`, `${other}.dead.body`, `${other}.dead.body.part`];
  for (const name of [...orphans, `${kept}.young.body`]) {
    await writeFile(join(directory, name), 'half');
    if (!name.includes('young')) await utimes(join(directory, name), old, old);
  }
  await utimes(join(directory, `${kept}.first.body`), old, old);
  await put('another', 'second');
  const another = safeFileName('default', 'another');
  expect((await readdir(directory)).toSorted()).toEqual(
    [
      `${kept}.first.body`,
      `${kept}.json`,
      `${kept}.young.body`,
      `${another}.second.body`,
      `${another}.json`,
    ].toSorted(),
  );
});
