import { lstat, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type DiskReading, createDiskGuard } from '@holdfast/network/limits';

/** So large that only the write itself finds no room. */
const LARGE = { freeBytes: 5e8, totalBytes: 1e9 };

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
async function folderOf(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-limits-'));
  folders.push(folder);
  return folder;
}

/** A guard of a disk of 1,000 bytes and 100 inodes. */
function guardOf(start: Partial<DiskReading> = {}, directory = '/data') {
  const clock = createFakeClock();
  const now = { freeBytes: 500, totalBytes: 1_000, freeInodes: 50, totalInodes: 100, ...start };
  const guard = createDiskGuard({ directory, read: async () => ({ ...now }), clock });
  return { guard, clock, now };
}

const full = (code = 'ENOSPC'): Error => Object.assign(new Error(code), { code });

test('watermarks of bytes: refused below 10 %, taken again only from 15 % on', async () => {
  const { guard, clock, now } = guardOf();
  const events: string[] = [];
  guard.on('full', () => events.push('full'));
  guard.on('resumed', () => events.push('resumed'));
  guard.on('evict', ({ bytes }) => events.push(`evict ${bytes}`));
  for (const free of [190, 99, 120, 149, 150]) {
    now.freeBytes = free;
    await clock.advance(5_000);
  }
  expect(events).toEqual([
    'evict 10',
    'evict 101',
    'full',
    'evict 80',
    'evict 51',
    'evict 50',
    'resumed',
  ]);
  now.freeBytes = 99;
  await guard.check();
  await expect(guard.reserve(0, () => 1)).rejects.toMatchObject({
    code: 'NETWORK_DISK_EXHAUSTED',
    freeBytes: 99,
    freeInodes: 50,
    retryable: true,
    outcome: 'not-applied',
    message: expect.stringMatching(/99 bytes and 50 inodes/),
  });
  guard.close();
  expect(clock.pendingTimers).toBe(0);
});

test('inodes that run out are seen although there are bytes, and both numbers are in the error', async () => {
  const { guard, now } = guardOf({ freeInodes: 9 });
  await expect(guard.reserve(1, () => 1)).rejects.toMatchObject({ freeBytes: 500, freeInodes: 9 });
  now.freeInodes = 14;
  await guard.check();
  expect(guard.isFull).toBe(true);
  now.freeInodes = 15;
  await guard.check();
  expect(guard.isFull).toBe(false);
});

test('a file system that does not count inodes is judged by its bytes', async () => {
  const { guard } = guardOf({ freeInodes: Infinity, totalInodes: Infinity });
  expect(await guard.reserve(1, () => 'written')).toBe('written');
});

test('writes that run are counted: together they do not go below the mark', async () => {
  const { guard } = guardOf();
  let finish: () => void = () => undefined;
  const first = guard.reserve(300, () => new Promise<void>((resolve) => (finish = resolve)));
  await new Promise((resolve) => setImmediate(resolve));
  await expect(guard.reserve(101, () => 1)).rejects.toMatchObject({
    code: 'NETWORK_DISK_EXHAUSTED',
  });
  expect(await guard.reserve(100, () => 1)).toBe(1);
  finish();
  await first;
  expect(await guard.reserve(400, () => 1)).toBe(1);
  expect(guard.getStats()).toMatchObject({ reservedBytes: 0, refused: 1 });
});

test.each(['ENOSPC', 'EDQUOT'])(
  'a write that finds no room (%s) is a typed error',
  async (code) => {
    const { guard } = guardOf();
    const cause = full(code);
    await expect(guard.reserve(1, () => Promise.reject(cause))).rejects.toMatchObject({
      code: 'NETWORK_DISK_EXHAUSTED',
      cause,
    });
    const other = full('EIO');
    await expect(guard.reserve(1, () => Promise.reject(other))).rejects.toBe(other);
  },
);

test('a file is replaced as a whole: when writing fails the old one is as it was, and nothing is left', async () => {
  const folder = await folderOf();
  const path = join(folder, 'config.json');
  await writeFile(path, 'GOOD', { mode: 0o640 });
  const { guard } = guardOf(LARGE, folder);
  const breaks = async function* (): AsyncGenerator<string> {
    yield 'new '.repeat(1_000);
    throw full();
  };
  await expect(guard.writeFile(path, breaks())).rejects.toMatchObject({
    code: 'NETWORK_DISK_EXHAUSTED',
    cause: { code: 'ENOSPC' },
  });
  expect(await readFile(path, 'utf8')).toBe('GOOD');
  expect(await readdir(folder)).toEqual(['config.json']);
  await guard.writeFile(path, 'better');
  expect(await readFile(path, 'utf8')).toBe('better');
  expect((await stat(path)).mode & 0o777).toBe(0o640);
});

test('a symbolic link stays one, and a new file gets its mode', async () => {
  const folder = await folderOf();
  const { guard } = guardOf(LARGE, folder);
  await writeFile(join(folder, 'target'), 'old');
  await symlink('target', join(folder, 'link'));
  await guard.writeFile(join(folder, 'link'), 'new');
  expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
  expect(await readFile(join(folder, 'target'), 'utf8')).toBe('new');
  await guard.writeFile(join(folder, 'secret'), 'x', { mode: 0o600 });
  expect((await stat(join(folder, 'secret'))).mode & 0o777).toBe(0o600);
  const long = 'n'.repeat(250);
  await guard.writeFile(join(folder, long), 'x');
  expect(await readFile(join(folder, long), 'utf8')).toBe('x');
});

test('an aborted write leaves the old file and nothing else', async () => {
  const folder = await folderOf();
  const path = join(folder, 'file');
  await writeFile(path, 'old');
  const { guard } = guardOf(LARGE, folder);
  const controller = new AbortController();
  const content = async function* (): AsyncGenerator<string> {
    yield 'part';
    controller.abort(new Error('gone'));
    yield 'rest';
  };
  await expect(guard.writeFile(path, content(), { signal: controller.signal })).rejects.toThrow(
    'gone',
  );
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['file']);
});

test.each(['', 'a\0b'])('a write to %j is refused by the name of path', async (path) => {
  const { guard } = guardOf();
  await expect((async () => guard.writeFile(path, 'x'))()).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'path',
  });
});

test('the disk of this machine is read', async () => {
  const guard = createDiskGuard({ directory: tmpdir() });
  const reading = await guard.check();
  expect(reading.totalBytes).toBeGreaterThan(0);
  expect(reading.freeBytes).toBeLessThanOrEqual(reading.totalBytes);
  guard.close();
  await expect(guard.reserve(1, () => 1)).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
});

test('a directory that is gone is the error of the file system, not a full disk', async () => {
  const guard = createDiskGuard({ directory: join(await folderOf(), 'gone') });
  await expect(guard.reserve(1, () => 1)).rejects.toMatchObject({ code: 'ENOENT' });
  guard.close();
});

test.each([
  [{}, 'directory'],
  [{ directory: '' }, 'directory'],
  [{ directory: '/', refuseBelow: 0.2 }, 'resumeAt'],
  [{ directory: '/', refuseBelow: 2 }, 'refuseBelow'],
  [{ directory: '/', minFree: 2 }, 'minFree'],
])('createDiskGuard(%j) is refused by the name of %s', (options, field) => {
  expect(() => Reflect.apply(createDiskGuard, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
