import { expect, test } from '@jest/globals';
import { type FileSystem, type OpenFile, nodeFileSystem } from '@holdfast/journal';
import {
  type FileSystemCall,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '@holdfast/journal/testing';
import { createFakeClock } from '@holdfast/foundation/testing';
import { derivedSeed, seededRandom } from '@holdfast/foundation';
import {
  DIRECTORY,
  backupNames,
  bundlesOf,
  inParts,
  manifestOf,
  openFixture,
  readNewest,
} from '../bundles.ts';

const ROWS = 200;
const OLD = 'catalog-1-1.backup';
const NEW = 'catalog-1-2.backup';

const isOfBackup = ({ kind, name }: FileSystemCall): boolean =>
  name.startsWith('catalog-') || kind === 'sync-directory';

/** How many calls of that kind a write of the second generation makes on its own file. */
async function callsOfWrite(kinds: readonly string[]): Promise<number> {
  const { files, write } = openFixture();
  await write(ROWS, 1);
  let count = 0;
  files.intercept = (call) => {
    if (isOfBackup(call) && kinds.includes(call.kind)) count += 1;
  };
  await write(ROWS, 2);
  return count;
}

test.each([
  ['ENOSPC', 'disk-full'],
  ['EDQUOT', 'disk-full'],
  ['EFBIG', 'disk-full'],
  ['EIO', 'io'],
])('%s at any call leaves the old backup and nothing else', async (code, reason) => {
  const kinds = ['open', 'write', 'sync', 'read', 'rename'];
  const calls = await callsOfWrite(kinds);
  expect(calls).toBeGreaterThan(10);
  for (let failing = 1; failing <= calls; failing += 1) {
    const { backup, files, write } = openFixture();
    await write(ROWS, 1);
    let count = 0;
    let isRename = false;
    let hasFailed = false;
    files.intercept = (call) => {
      if (!isOfBackup(call) || !kinds.includes(call.kind) || hasFailed) return;
      count += 1;
      if (count < failing) return;
      hasFailed = true;
      isRename = call.kind === 'rename';
      throw errno(code);
    };
    const failure: unknown = await write(ROWS, 2).catch((error: unknown) => error);
    const outcome = isRename ? 'unknown' : 'not-applied';
    const refusal = { code: 'CATALOG_BACKUP_WRITE_FAILED', reason, outcome, cause: { code } };
    // What fails after the publication is the look at older files.
    const isPublished = typeof failure === 'string';
    const published = isPublished ? [OLD, NEW] : [OLD];
    const expected: unknown = isPublished ? failure : refusal;
    expect({ failure }).toMatchObject({ failure: expected });
    expect(backupNames(files)).toEqual(published);
    expect((await readNewest(backup)).generation).toBe(published.length);
    files.intercept = () => undefined;
    await write(ROWS, 2);
    expect((await readNewest(backup)).generation).toBe(2);
  }
});

test('a disk that fills at any byte leaves the old backup, and takes a new one once there is room', async () => {
  const { files: measured, write: measure } = openFixture();
  await measure(ROWS, 1);
  const bytes = measured.content('catalog-1-1.backup').length;
  for (let share = 0; share < 1; share += 0.05) {
    const { backup, files, write } = openFixture();
    await write(ROWS, 1);
    // Beside the backup, the file of the owner of the directory.
    files.capacityBytes = bytes + 1_000 + Math.floor(share * (bytes - 1_500));
    await expect(write(ROWS, 2)).rejects.toMatchObject({
      code: 'CATALOG_BACKUP_WRITE_FAILED',
      reason: 'disk-full',
      retryable: true,
    });
    expect(backupNames(files)).toEqual(['catalog-1-1.backup']);
    expect((await readNewest(backup)).generation).toBe(1);
    files.capacityBytes = Infinity;
    await write(ROWS, 2);
    expect((await readNewest(backup)).generation).toBe(2);
  }
});

test('a directory that cannot be synced after the rename is told as unknown', async () => {
  const { backup, files, write } = openFixture();
  await write(ROWS, 1);
  let isRenamed = false;
  files.intercept = ({ kind }) => {
    isRenamed ||= kind === 'rename';
    if (isRenamed && kind === 'sync-directory') throw errno('EIO');
  };
  await expect(write(ROWS, 2)).rejects.toMatchObject({ reason: 'io', outcome: 'unknown' });
  files.intercept = () => undefined;
  expect((await readNewest(backup)).generation).toBe(2);
});

/** A write of the second generation on which the machine dies at a call, or in the middle of a write. */
async function dieAt(
  call: number,
  how: 'kill' | 'prefix' | 'sectors',
): Promise<{ files: MemoryFileSystem; hasDied: boolean; isWritten: boolean }> {
  const { files, write } = openFixture();
  await write(ROWS, 1);
  const random = seededRandom(derivedSeed(1, call, how.length));
  let count = 0;
  files.intercept = ({ kind, bytes }) => {
    count += 1;
    if (count < call) return;
    if (count === call && kind === 'write') files.dieAfterBytes = Math.floor(random() * bytes);
    else throw errno('EIO');
  };
  const isWritten = await write(ROWS, 2).then(
    () => true,
    () => false,
  );
  return { files: files.crash(how, random), hasDied: count >= call, isWritten };
}

test.each(['kill', 'prefix', 'sectors'] as const)(
  'a machine that dies at any step (%s) leaves one whole generation, and the next write succeeds',
  async (how) => {
    let generations = '';
    for (let call = 1; ; call += 1) {
      const { files, hasDied, isWritten } = await dieAt(call, how);
      const next = openFixture({}, files);
      const { generation, bundles } = await readNewest(next.backup);
      expect(bundles).toEqual(bundlesOf(ROWS, generation));
      expect(generation).toBeGreaterThanOrEqual(isWritten ? 2 : 1);
      generations += generation;
      await next.write(ROWS, 3);
      expect((await readNewest(next.backup)).generation).toBe(3);
      expect(backupNames(files).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      if (!hasDied) break;
    }
    // The old one up to the rename, the new one from then on.
    expect(generations).toMatch(/^1{10,}[12]*2$/);
  },
);

test('what is read back is not what was written: it is not published', async () => {
  const memory = createMemoryFileSystem();
  const lying: FileSystem = {
    ...memory,
    async open(path, mode) {
      const file = await memory.open(path, mode);
      if (mode !== 'create' || !path.endsWith('.tmp')) return file;
      // The disk says that it has written the second frame, and has not.
      let writes = 0;
      const write: OpenFile['write'] = async (data, position) => {
        writes += 1;
        return file.write(writes === 3 ? new Uint8Array(data.length) : data, position);
      };
      return { ...file, write };
    },
  };
  const { backup } = openFixture({ files: lying });
  await expect(backup.write(manifestOf(ROWS), inParts(bundlesOf(ROWS)))).rejects.toMatchObject({
    reason: 'io',
    cause: { code: 'CATALOG_BACKUP_DAMAGED' },
  });
  expect(backupNames(memory)).toEqual([]);
});

test('a disk that hangs in a write ends it in bounded time', async () => {
  const clock = createFakeClock();
  const memory = createMemoryFileSystem();
  const calls: number[] = [];
  let isHanging = true;
  const hung: FileSystem = {
    ...memory,
    async open(path, mode) {
      const file = await memory.open(path, mode);
      if (!path.endsWith('.tmp')) return file;
      const write: OpenFile['write'] = (data, position) => {
        calls.push(position);
        return isHanging ? new Promise(() => {}) : file.write(data, position);
      };
      return { ...file, write };
    },
  };
  const { backup, write } = openFixture({ files: hung, clock, ioTimeoutMs: 100 });
  const writing = write(ROWS, 1).catch((error: unknown) => error);
  while (calls.length === 0) await new Promise(setImmediate);
  await clock.advance(1_000);
  expect(await writing).toMatchObject({ reason: 'io', cause: { code: 'ETIMEDOUT' } });
  isHanging = false;
  await write(ROWS, 2);
  expect((await readNewest(backup)).generation).toBe(2);
});

test('a disk that hangs ends an opening in bounded time', async () => {
  const clock = createFakeClock();
  const memory = createMemoryFileSystem();
  const { write } = openFixture({}, memory);
  await write(ROWS, 1);
  const calls: number[] = [];
  const hang: OpenFile['read'] = (_, position) => {
    calls.push(position);
    return new Promise(() => {});
  };
  const hung: FileSystem = {
    ...memory,
    open: async (path, mode) => ({ ...(await memory.open(path, mode)), read: hang }),
  };
  const { backup } = openFixture({ files: hung, clock, ioTimeoutMs: 100 });
  const opening = backup.open().catch((error: unknown) => error);
  while (calls.length === 0) await new Promise(setImmediate);
  await clock.advance(1_000);
  expect(await opening).toMatchObject({
    code: 'CATALOG_BACKUP_UNAVAILABLE',
    tried: [{ reason: 'unreadable' }],
  });
  const controller = new AbortController();
  const aborted = backup.open({ signal: controller.signal });
  controller.abort(new Error('out of time'));
  await expect(aborted).rejects.toThrow('out of time');
});

test('a directory that cannot be made or listed is a typed error', async () => {
  const { backup } = openFixture({
    files: nodeFileSystem,
    directory: '/proc/none/backups',
    acquireTimeoutMs: 0,
  });
  await expect(backup.write(manifestOf(0), inParts([]))).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_WRITE_FAILED',
    reason: 'io',
  });
  await expect(backup.open()).rejects.toMatchObject({ tried: [], directory: '/proc/none/backups' });
  const files: FileSystem = {
    ...createMemoryFileSystem(),
    list: () => Promise.reject(errno('EACCES')),
  };
  const denied = openFixture({ files, directory: DIRECTORY });
  await expect(denied.backup.open()).rejects.toMatchObject({
    code: 'CATALOG_BACKUP_UNAVAILABLE',
    cause: { code: 'EACCES' },
  });
});
