import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import type { StorageBackend } from '../../src/backend.ts';
import { diskBackend } from '../../src/backends/disk/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';
import { openS3, openSupabase } from '../backends/servers.ts';
import { freshDirectory } from '../directory.ts';
import { AWAY } from '../open-storage.ts';

interface Site {
  readonly backend: StorageBackend;
  /** The backend as one machine reaches it, or not. */
  readonly link: () => { readonly seen: StorageBackend; isAway: boolean };
}

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const servers: [string, () => Promise<StorageBackend>][] = [
  ['S3', () => opened(openS3())],
  ['Supabase', () => opened(openSupabase())],
  ['disk', async () => diskBackend({ directory: join(await freshDirectory(), 'objects') })],
];

async function opened(
  server: Promise<{ backend: StorageBackend; close: () => Promise<void> }>,
): Promise<StorageBackend> {
  const { backend, close } = await server;
  closing.push(close);
  return backend;
}

async function openSite(open: () => Promise<StorageBackend>): Promise<Site> {
  const backend = await open();
  const link: Site['link'] = () => {
    const reach = <T>(call: () => Promise<T>) => (one.isAway ? Promise.resolve(AWAY) : call());
    const seen: StorageBackend = {
      name: backend.name,
      bucket: backend.bucket,
      largeFromBytes: backend.largeFromBytes,
      refuseKey: (key) => backend.refuseKey(key),
      put: (...given) => reach(() => backend.put(...given)),
      get: (...given) => reach(() => backend.get(...given)),
      head: (...given) => reach(() => backend.head(...given)),
      remove: (...given) => reach(() => backend.remove(...given)),
      list: (...given) => reach(() => backend.list(...given)),
    };
    const one = { seen, isAway: false };
    return one;
  };
  return { backend, link };
}

interface Machine {
  readonly storage: Storage;
  readonly received: string[];
  /** Resolves once everything is delivered. */
  readonly delivered: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

async function start(backend: StorageBackend, files: MemoryFileSystem): Promise<Machine> {
  const storage = createStorage({
    backends: [backend],
    journal: { directory: '/journal', minFreeBytes: 0 },
    acknowledgeWithinMs: 0,
    // No server here applies a write late.
    lateWriteMs: 1,
    retry: { initialDelayMs: 5, maxDelayMs: 20 },
    circuitBreaker: { openDurationMs: 20, maxOpenDurationMs: 20 },
    files,
  });
  const received: string[] = [];
  storage.on('conflict', ({ path, resolution }) => received.push(`${path}: ${resolution}`));
  closing.push(() => storage.close({ deadlineMs: 1 }));
  await storage.ready();
  return {
    storage,
    received,
    delivered: async () => expect(await storage.flush({ deadlineMs: 30_000 })).toBe(0),
    stop: () => storage.close({ deadlineMs: 1 }),
  };
}

async function textsAt(backend: StorageBackend): Promise<Record<string, string>> {
  const { signal } = new AbortController();
  const page = await backend.list('', { signal, limit: 1_000 });
  if (page.kind !== 'ok') throw new Error(page.message);
  const texts: Record<string, string> = {};
  for (const { key } of page.value.objects) {
    const found = await backend.get(key, { signal });
    if (found.kind !== 'ok') throw new Error(found.message);
    const chunks: Uint8Array[] = [];
    for await (const chunk of found.value.body) chunks.push(chunk);
    texts[key] = Buffer.concat(chunks).toString();
  }
  return texts;
}

/** The content of each key, without the marks, and what is kept beside. */
async function shownAt(backend: StorageBackend): Promise<{
  readonly objects: Record<string, string>;
  readonly beside: readonly string[];
}> {
  const all = Object.entries(await textsAt(backend));
  const objects = all.filter(([key]) => !key.startsWith('.'));
  const beside = all.filter(([key]) => key.startsWith('.conflicts/')).map(([, text]) => text);
  return { objects: Object.fromEntries(objects), beside: beside.toSorted() };
}

test.each(servers)(
  'a journal restored one life older, on %s: nothing newer is overwritten, nothing removed returns, and it is announced',
  async (_, open) => {
    const { backend, link } = await openSite(open);
    const here = link();
    const files = createMemoryFileSystem();
    here.isAway = true;
    const first = await start(here.seen, files);
    for (const key of ['overwritten', 'removed', 'kept']) await first.storage.upload(key, 'old');
    await first.stop();
    const backup = files.snapshot();

    here.isAway = false;
    const second = await start(here.seen, files);
    await second.delivered();
    await second.storage.upload('overwritten', 'new');
    await second.storage.remove('removed');
    await second.delivered();
    expect(second.received).toEqual([]);
    await second.stop();

    const restored = await start(here.seen, backup);
    await restored.delivered();
    const after = { objects: { overwritten: 'new', kept: 'old' }, beside: ['old', 'old'] };
    expect(await shownAt(backend)).toEqual(after);
    expect(restored.received.toSorted()).toEqual(['overwritten: keep-both', 'removed: keep-both']);

    // From here on it is a journal like any other: what it accepts is delivered, through a restart too.
    here.isAway = true;
    await restored.storage.upload('fresh', 'x');
    await restored.stop();
    here.isAway = false;
    const next = await start(here.seen, backup);
    await next.delivered();
    expect(next.received).toEqual([]);
    expect(await shownAt(backend)).toEqual({
      ...after,
      objects: { ...after.objects, fresh: 'x' },
    });
  },
  60_000,
);

test.each(servers)(
  'two clones of a journal at once, on %s: both go on, nothing accepted is lost, and what one removes stays away',
  async (_, open) => {
    const { backend, link } = await openSite(open);
    const files = createMemoryFileSystem();
    const image = link();
    image.isAway = true;
    const base = await start(image.seen, files);
    for (const key of ['waiting', 'gone']) await base.storage.upload(key, 'base');
    await base.stop();

    const [hereLink, thereLink] = [link(), link()];
    thereLink.isAway = true;
    const here = await start(hereLink.seen, files.snapshot());
    const there = await start(thereLink.seen, files.snapshot());
    await here.delivered();
    await here.storage.remove('gone');
    // The earlier of the two is delivered last: a later one would take its place, as the policy says.
    await there.storage.upload('both', 'there');
    await Promise.all([
      here.storage.upload('both', 'here'),
      here.storage.upload('here', '1'),
      there.storage.upload('there', '2'),
    ]);
    await here.delivered();
    thereLink.isAway = false;
    await there.delivered();
    // Both go on.
    await here.storage.upload('here', '3');
    await there.storage.upload('there', '4');
    await there.storage.remove('waiting');
    await Promise.all([here.delivered(), there.delivered()]);

    const { objects, beside } = await shownAt(backend);
    expect(objects).toEqual({ both: 'here', here: '3', there: '4' });
    expect(beside).toEqual(['base', 'there']);
  },
  60_000,
);

test.each(servers)(
  'a journal restored beside the process that went on, on %s: what that moved, copied or removed stays so, and both go on',
  async (_, open) => {
    const { backend, link } = await openSite(open);
    const files = createMemoryFileSystem();
    const before = link();
    before.isAway = true;
    const base = await start(before.seen, files);
    for (const key of ['moved', 'removed', 'copied', 'kept']) await base.storage.upload(key, key);
    await base.stop();
    const backup = files.snapshot();

    const living = await start(link().seen, files);
    await living.delivered();
    await living.storage.move('moved', 'target');
    await living.storage.remove('removed');
    await living.storage.copy('copied', 'twin');
    await living.storage.move('copied', 'removed and written again');
    await living.storage.upload('copied', 'new');
    await living.delivered();

    const restored = await start(link().seen, backup);
    await restored.delivered();
    const { objects, beside } = await shownAt(backend);
    expect(objects).toEqual({
      target: 'moved',
      twin: 'copied',
      'removed and written again': 'copied',
      copied: 'new',
      kept: 'kept',
    });
    expect(beside).toEqual(['copied', 'moved', 'removed']);
    expect(restored.received.toSorted()).toEqual([
      'copied: keep-both',
      'moved: keep-both',
      'removed: keep-both',
    ]);

    await Promise.all([
      restored.storage.move('kept', 'moved by the copy'),
      restored.storage.copy('target', 'copied by the copy'),
      restored.storage.remove('twin'),
      living.storage.move('copied', 'moved meanwhile'),
      living.storage.upload('written meanwhile', 'x'),
    ]);
    await Promise.all([restored.delivered(), living.delivered()]);
    expect((await shownAt(backend)).objects).toEqual({
      target: 'moved',
      'removed and written again': 'copied',
      'moved by the copy': 'kept',
      'copied by the copy': 'moved',
      'moved meanwhile': 'new',
      'written meanwhile': 'x',
    });
    expect(living.received).toEqual([]);
    await restored.stop();
    // The next process of the copy finds nothing to bring back.
    const next = await start(link().seen, backup);
    await next.delivered();
    expect(next.received).toEqual([]);
    expect(Object.keys((await shownAt(backend)).objects)).toHaveLength(6);
  },
  60_000,
);
