import { randomBytes } from 'node:crypto';
import {
  appendFile,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import type { StorageBackend } from '../src/backend.ts';
import { diskBackend } from '../src/backends/disk/backend.ts';
import { createStorage } from '../src/create-storage.ts';
import type { Storage } from '../src/storage.ts';
import { openS3, openSupabase } from './backends/servers.ts';
import { freshDirectory } from './directory.ts';
import { AWAY } from './open-storage.ts';

const SMALL = 300_000;
/** Two parts, of S3 and of TUS. */
const LARGE = 6_500_000;

function sizeFor(server: string): number {
  return /resumable|parts/.test(server) ? LARGE : SMALL;
}

interface Opened {
  readonly backend: StorageBackend;
  readonly close: () => Promise<void>;
}

async function openDisk(): Promise<Opened> {
  const directory = await freshDirectory();
  await mkdir(directory, { recursive: true });
  return { backend: diskBackend({ directory }), close: () => Promise.resolve() };
}

const servers: Readonly<Record<string, () => Promise<Opened>>> = {
  'Supabase, in one request': () => openSupabase(),
  'Supabase, resumable': () => openSupabase({}, { largeFromBytes: 1_000_000 }),
  'S3, in one request': () => openS3(),
  'S3, in parts': () => openS3({}, { largeFromBytes: 5_300_000, partBytes: 5_242_880 }),
  disk: openDisk,
};

/** A backend that takes no writes until it is told to. */
function withSwitch(backend: StorageBackend): { backend: StorageBackend; comeBack: () => void } {
  let isAway = true;
  const switched = new Proxy(backend, {
    get: (target, name) => {
      if (name === 'put' && isAway) return () => Promise.resolve(AWAY);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { backend: switched, comeBack: () => void (isAway = false) };
}

type Damage = (path: string, size: number) => Promise<void>;

function flip(place: number): Damage {
  return async (path, size) => {
    const at = Math.min(size - 1, Math.floor(size * place));
    const file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, at);
    await file.close();
  };
}

/** What may become of the file of a waiting body, so that the bytes that were accepted are not there any more. */
const damages: Readonly<Record<string, Damage>> = {
  'has another first byte': flip(0),
  'has another byte amid it': flip(0.5),
  'has another last byte': flip(1),
  'is truncated to half': (path, size) => truncate(path, Math.floor(size / 2)),
  'lacks its last byte': (path, size) => truncate(path, size - 1),
  'is empty': (path) => truncate(path, 0),
  'is longer, at its begin': async (path) =>
    writeFile(path, Buffer.concat([Buffer.from('!'), await readFile(path)])),
  'is replaced by another file': async (path, size) => {
    await writeFile(`${path}.other`, randomBytes(size));
    await rename(`${path}.other`, path);
  },
  'is removed': (path) => rm(path),
};

/** The file of a waiting body. */
async function fileOf(directory: string, operationId: string): Promise<string> {
  const bodies = join(directory, 'bodies');
  const name = (await readdir(bodies)).find((each) => each.startsWith(operationId)) ?? '';
  return join(bodies, name);
}

const waiting = { acknowledgeWithinMs: 0 };
const { signal } = new AbortController();

/** What is reported of each key that waits, and what the server has. */
async function refusedAndStored(storage: Storage, opened: StorageBackend): Promise<unknown> {
  const refusals: Record<string, unknown> = {};
  for (const { path, refused } of storage.pending()) {
    refusals[path] = [refused?.kind, refused?.message, (await opened.head(path, { signal })).kind];
  }
  return refusals;
}

const refused = ['invalid', expect.stringContaining('damaged'), 'notFound'];
const allRefused = Object.fromEntries(Object.keys(damages).map((name) => [name, refused]));

test.each(Object.entries(servers))(
  '%s: waiting bodies whose files are damaged, truncated, replaced or removed are refused by name; other keys go on',
  async (server, openServer) => {
    const { backend: opened, close } = await openServer();
    const { backend, comeBack } = withSwitch(opened);
    const directory = await freshDirectory();
    const storage = createStorage({ backends: [backend], journal: { directory } });
    const bytes = randomBytes(sizeFor(server));
    for (const [name, damage] of Object.entries(damages)) {
      const { operationId } = await storage.upload(name, bytes, waiting);
      await damage(await fileOf(directory, operationId), bytes.byteLength);
      const reading = storage.download(name).then((download) => download.bytes());
      await expect(reading).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });
    }
    await storage.upload('other', bytes, waiting);
    comeBack();
    await storage.flush({ deadlineMs: 30_000 });
    expect(await refusedAndStored(storage, opened)).toEqual(allRefused);
    const stored = { kind: 'ok', value: { size: bytes.byteLength } };
    expect(await opened.head('other', { signal })).toMatchObject(stored);
    await storage.close();
    await close();
  },
);

test('waiting bodies whose files are damaged, truncated, replaced or removed before the next process sends them are refused by name', async () => {
  const { backend: opened } = await openDisk();
  const { backend, comeBack } = withSwitch(opened);
  const journal = { directory: await freshDirectory() };
  const first = createStorage({ backends: [backend], journal });
  const bytes = randomBytes(SMALL);
  const ids = new Map<string, string>();
  for (const key of [...Object.keys(damages), 'other']) {
    ids.set(key, (await first.upload(key, bytes, waiting)).operationId);
  }
  await first.close({ deadlineMs: 0 });
  for (const [name, damage] of Object.entries(damages)) {
    await damage(await fileOf(journal.directory, ids.get(name) ?? ''), SMALL);
  }
  const storage = createStorage({ backends: [backend], journal, lateWriteMs: 1 });
  await storage.ready();
  comeBack();
  await storage.flush({ deadlineMs: 30_000 });
  expect(await refusedAndStored(storage, opened)).toEqual(allRefused);
  expect(await opened.head('other', { signal })).toMatchObject({ kind: 'ok' });
  await storage.close();
});

test.each(Object.entries(servers))(
  '%s: a waiting body whose file is longer at its end is sent: the bytes that were accepted are there',
  async (server, openServer) => {
    const { backend: opened, close } = await openServer();
    const { backend, comeBack } = withSwitch(opened);
    const directory = await freshDirectory();
    const storage = createStorage({ backends: [backend], journal: { directory } });
    const bytes = randomBytes(sizeFor(server));
    const { operationId } = await storage.upload('k', bytes, waiting);
    await appendFile(await fileOf(directory, operationId), 'more');
    comeBack();
    expect(await storage.flush({ deadlineMs: 30_000 })).toBe(0);
    expect(bytes.equals(await (await storage.download('k')).bytes())).toBe(true);
    await storage.close();
    await close();
  },
);

test('a waiting body waits while its directory is away, and is sent when that is back', async () => {
  const { backend: opened } = await openDisk();
  const { backend, comeBack } = withSwitch(opened);
  const directory = await freshDirectory();
  const storage = createStorage({
    backends: [backend],
    journal: { directory },
    retry: { initialDelayMs: 5, maxDelayMs: 10 },
    circuitBreaker: { openDurationMs: 5, maxOpenDurationMs: 10 },
  });
  await storage.upload('k', randomBytes(SMALL), waiting);
  const bodies = join(directory, 'bodies');
  await rename(bodies, `${bodies}-away`);
  comeBack();
  expect(await storage.flush({ deadlineMs: 200 })).toBe(1);
  expect(storage.pending()[0]).not.toHaveProperty('refused');
  await rename(`${bodies}-away`, bodies);
  expect(await storage.flush({ deadlineMs: 30_000 })).toBe(0);
  await storage.close();
});

test.each(Object.entries(servers))(
  '%s: a waiting body that cannot be opened for a while is sent later, and nothing escapes',
  async (server, openServer) => {
    const { backend, close } = await openServer();
    const directory = await freshDirectory();
    let failures = 3;
    const files: FileSystem = {
      ...nodeFileSystem,
      open: (path, mode) => {
        if (path.includes('bodies') && mode === 'read' && failures > 0) {
          failures -= 1;
          return Promise.reject(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
        }
        return nodeFileSystem.open(path, mode);
      },
    };
    const storage = createStorage({ backends: [backend], journal: { directory }, files });
    const bytes = randomBytes(sizeFor(server));
    await storage.upload('k', bytes);
    expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
    expect(failures).toBe(0);
    expect(Buffer.from(await (await storage.download('k')).bytes()).equals(bytes)).toBe(true);
    await storage.close();
    await close();
  },
);

test('an upload that S3 cuts amid its body keeps no file open', async () => {
  let cuts = 2;
  const { backend, close } = await openS3({
    faults: ({ operation }) => {
      if (operation !== 'PutObject' || cuts === 0) return undefined;
      cuts -= 1;
      return { kind: 'reset' };
    },
  });
  const directory = await freshDirectory();
  /** One promise for each opened body, which resolves when it is closed. */
  const closed: Promise<void>[] = [];
  const files: FileSystem = {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const file = await nodeFileSystem.open(path, mode);
      if (!path.includes('bodies') || mode !== 'read') return file;
      const { promise, resolve } = Promise.withResolvers<void>();
      closed.push(promise);
      return { ...file, close: () => file.close().finally(resolve) };
    },
  };
  const storage = createStorage({
    backends: [backend],
    journal: { directory },
    files,
    lateWriteMs: 1,
  });
  await storage.upload('k', randomBytes(4_000_000), { acknowledgeWithinMs: 0 });
  expect(await storage.flush({ deadlineMs: 60_000 })).toBe(0);
  expect(closed.length).toBeGreaterThan(1);
  await Promise.all(closed);
  await storage.close();
  await close();
});
