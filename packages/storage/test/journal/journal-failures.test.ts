import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { propertyOf, systemClock } from '@holdfast/foundation';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import { type MemoryBackend, createMemoryBackend } from '../../src/backends/memory.ts';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';

interface Opened {
  readonly storage: Storage;
  readonly primary: MemoryBackend;
  readonly directory: string;
  /** Lets calls to the disk hang, or fail with a code, until they work again. */
  readonly disk: (state: 'works' | 'hangs' | { readonly code: string }) => void;
}

const opened: Opened[] = [];
const directories: string[] = [];
const IO_TIMEOUT_MS = 300;
const LARGE = Buffer.alloc(200_000, 'x');

afterEach(async () => {
  for (const { storage, disk } of opened.splice(0)) {
    disk('works');
    await storage.close({ deadlineMs: 1 }).catch(() => undefined);
  }
  for (const directory of directories.splice(0)) {
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
});

async function open(initially: Parameters<Opened['disk']>[0] = 'works'): Promise<Opened> {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-storage-'));
  directories.push(parent);
  const directory = join(parent, 'journal');
  let state = initially;
  let gate = Promise.withResolvers<void>();
  const call = async <T>(make: () => Promise<T>): Promise<T> => {
    if (typeof state === 'object') throw Object.assign(new Error('injected'), state);
    if (state === 'hangs') await gate.promise;
    return make();
  };
  const files: FileSystem = {
    ...nodeFileSystem,
    open: (path, mode) =>
      call(async () => {
        const file = await nodeFileSystem.open(path, mode);
        return {
          ...file,
          write: (...given) => call(() => file.write(...given)),
          writeThrough: (...given) => call(() => file.writeThrough(...given)),
          sync: () => call(() => file.sync()),
        };
      }),
    list: (path) => call(() => nodeFileSystem.list(path)),
    makeDirectory: (path) => call(() => nodeFileSystem.makeDirectory(path)),
  };
  const primary = createMemoryBackend({ name: 'primary' });
  const journal = { directory, ioTimeoutMs: IO_TIMEOUT_MS, minFreeBytes: 0 };
  const storage = createStorage({ backends: [primary], files, journal });
  const one: Opened = {
    storage,
    primary,
    directory,
    disk: (next) => {
      state = next;
      if (next === 'hangs') return;
      gate.resolve();
      gate = Promise.withResolvers();
    },
  };
  opened.push(one);
  return one;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      systemClock.schedule(5, resolve);
    });
  }
}

const codeOf = (write: Promise<unknown>): Promise<unknown> =>
  write.then(
    () => 'accepted',
    (error: { code: string; outcome: string }) => `${error.code} ${error.outcome}`,
  );

/** Uploads to a disk that works: that of a busy machine may itself be late, which is refused and passes. */
async function uploadOnceInTime(
  storage: Storage,
  key: string,
  body: string | Buffer,
): Promise<unknown> {
  while (true) {
    try {
      return await storage.upload(key, body);
    } catch (error) {
      if (propertyOf(error, 'code') !== 'JOURNAL_STALLED') throw error;
      await until(() => storage.health().level === 'healthy');
    }
  }
}

/** Begins a time that a timer of this process measures, so that a busy machine slows both; tells whether it is over. */
function timeLimit(ms: number): () => boolean {
  let isOver = false;
  systemClock.schedule(ms, () => (isOver = true), { holdsProcess: false });
  return () => isOver;
}

test('a disk that hangs: writes of every kind and size are refused in time, health is critical, and it passes', async () => {
  const { storage, primary, disk } = await open();
  await storage.upload('before', 'x');
  disk('hangs');
  const isLate = timeLimit(2 * IO_TIMEOUT_MS);
  const [small, large] = await Promise.all([
    codeOf(storage.upload('small', 'x')),
    codeOf(storage.upload('large', LARGE)),
  ]);
  expect(small).toBe('JOURNAL_STALLED unknown');
  expect(large).toBe('JOURNAL_WRITE_FAILED not-applied');
  expect(await codeOf(storage.remove('before'))).toBe('JOURNAL_STALLED not-applied');
  expect(isLate()).toBe(false);
  expect(storage.health()).toMatchObject({
    level: 'critical',
    journalFailure: { code: 'JOURNAL_STALLED' },
  });
  // What has been stored can be read meanwhile.
  expect(Buffer.from(await (await storage.download('before')).bytes()).toString()).toBe('x');
  disk('works');
  await until(() => storage.health().level === 'healthy');
  await uploadOnceInTime(storage, 'large', LARGE);
  await uploadOnceInTime(storage, 'small', 'y');
  expect([...primary.objects.keys()].toSorted()).toEqual(['before', 'large', 'small']);
  expect(await storage.flush({ deadlineMs: 2_000 })).toBe(0);
});

test.each([
  ['removed', (directory: string) => rm(directory, { recursive: true })],
  ['renamed', (directory: string) => rename(directory, `${directory}-moved`)],
  [
    'emptied',
    async (directory: string) => {
      const names = await readdir(directory);
      await Promise.all(names.map((name) => rm(join(directory, name), { recursive: true })));
    },
  ],
])(
  'a journal directory that is %s while it is open: nothing is acknowledged, and health says so',
  async (_, lose) => {
    const { storage, directory } = await open();
    await storage.upload('before', 'x');
    await storage.upload('before, large', LARGE);
    await lose(directory);
    expect(await codeOf(storage.upload('small', 'x'))).toMatch(/^JOURNAL_UNAVAILABLE/);
    expect(await codeOf(storage.upload('large', LARGE))).toMatch(/^JOURNAL_(?:WRITE|UNAVAILABLE)/);
    expect(await codeOf(storage.remove('before'))).toBe('JOURNAL_UNAVAILABLE not-applied');
    expect(storage.health()).toMatchObject({
      level: 'critical',
      journalFailure: { code: 'JOURNAL_UNAVAILABLE' },
    });
  },
);

test('the directory of bodies alone is removed: large writes are refused, typed, small ones accepted', async () => {
  const { storage, directory } = await open();
  await storage.upload('before', 'x');
  await rm(join(directory, 'bodies'), { recursive: true });
  expect(await codeOf(storage.upload('large', LARGE))).toBe('JOURNAL_WRITE_FAILED not-applied');
  expect(await codeOf(storage.upload('small', 'x'))).toBe('accepted');
});

test.each(['EROFS', 'ENOSPC', 'EACCES', 'ENOENT'])(
  'a journal that cannot be opened (%s) is opened once it can, and meanwhile said to be in the way',
  async (code) => {
    const { storage, disk } = await open({ code });
    expect(await codeOf(storage.upload('k', 'x'))).toMatch(/^JOURNAL_(?:UNAVAILABLE|FULL) not/);
    expect(storage.health()).toMatchObject({ level: 'critical', journalFailure: {} });
    disk('works');
    await until(() => storage.health().level === 'healthy');
    expect(await uploadOnceInTime(storage, 'k', 'x')).toMatchObject({ stored: 'primary' });
  },
);

test('a disk that hangs at the start refuses in time, again and again, and is used once it answers', async () => {
  const { storage, disk } = await open('hangs');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    expect(await codeOf(storage.upload('k', 'x'))).toBe('JOURNAL_UNAVAILABLE not-applied');
  }
  disk('works');
  await until(() => storage.health().level === 'healthy');
  expect(await uploadOnceInTime(storage, 'k', 'x')).toMatchObject({ stored: 'primary' });
});

test('the error of a body that cannot be read is the caller’s own', async () => {
  const { storage } = await open();
  const own = Object.assign(new Error('mine'), { code: 'EIO' });
  const body = async function* (): AsyncGenerator<Uint8Array> {
    yield LARGE;
    throw own;
  };
  await expect(storage.upload('k', () => body())).rejects.toBe(own);
});
