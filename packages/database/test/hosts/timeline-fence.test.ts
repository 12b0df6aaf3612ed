import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import {
  type Database,
  type DatabaseOptions,
  type TimelineFence,
  createDatabase,
  createFileFence,
} from '../../src/index.ts';
import { startNode, untilRoles, writesOf } from './scripted-host.ts';

const opened: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function node(role: 'primary' | 'standby', timeline: number): Promise<FakePostgres> {
  const server = await startNode('node', role, timeline);
  opened.push(() => server.close());
  return server;
}

function open(servers: readonly FakePostgres[], options: Partial<DatabaseOptions> = {}): Database {
  const db = createDatabase({
    hosts: servers.map(({ url }) => url),
    probeIntervalMs: 20,
    probeTimeoutMs: 200,
    ...options,
  });
  opened.push(() => db.end({ deadlineMs: 0 }));
  return db;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-fence-'));
  opened.push(() => rm(path, { recursive: true }));
  return path;
}

/** A fence in memory, which two databases may share. */
class MemoryFence implements TimelineFence {
  timeline: number | undefined;
  readonly stored: number[] = [];

  load(): number | undefined {
    return this.timeline;
  }

  store(timeline: number): void {
    this.stored.push(timeline);
    this.timeline = timeline;
  }
}

const WRITE = 'insert into t';

test('after a restart a former primary that is up first gets no writes', async () => {
  const [former, promoted] = [await node('primary', 1), await node('primary', 2)];
  const fence = new MemoryFence();
  const before = open([former, promoted], { fence });
  await before.query(WRITE);
  expect(writesOf(promoted)).toBe(1);
  await before.end();
  await promoted.stop();

  const after = open([former, promoted], { fence, acquireTimeoutMs: 300 });
  await expect(after.query(WRITE)).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    outcome: 'not-applied',
    message: expect.stringContaining('timeline 1'),
  });
  expect(after.health().hosts.map(({ role }) => role)).toEqual(['fenced', 'offline']);
  await promoted.start();
  await untilRoles(after, ['fenced', 'primary']);
  await after.query(WRITE);
  expect([writesOf(former), writesOf(promoted)]).toEqual([0, 2]);
});

test('a new primary gets writes only once its timeline is stored', async () => {
  const [first, second] = [await node('primary', 1), await node('standby', 1)];
  const storing = Promise.withResolvers<undefined>();
  const asked = Promise.withResolvers<undefined>();
  const fence: TimelineFence = {
    load: () => undefined,
    store: async (timeline) => {
      if (timeline !== 2) return;
      asked.resolve(undefined);
      await storing.promise;
    },
  };
  const db = open([first, second], { fence, probeTimeoutMs: 5_000 });
  await db.query(WRITE);
  second.setBehavior({ role: 'primary', timeline: 2 });
  await asked.promise;
  const writing = db.query(WRITE);
  await untilRoles(db, ['fenced', 'unknown']);
  expect([writesOf(first), writesOf(second)]).toEqual([1, 0]);
  storing.resolve(undefined);
  await writing;
  expect([writesOf(first), writesOf(second)]).toEqual([1, 1]);
});

test('no host gets writes before the fence was read, however often that fails', async () => {
  const [primary, standby] = [await node('primary', 1), await node('standby', 1)];
  let loads = 0;
  const fence: TimelineFence = {
    load: async () => {
      loads += 1;
      if (loads < 3) throw new Error('no such disk');
      return 1;
    },
    store: () => undefined,
  };
  const db = open([primary, standby], { fence });
  const failed = nextEvent(db, 'fence-failed');
  const writing = db.query(WRITE);
  expect(await failed).toMatchObject({ action: 'load', error: 'no such disk' });
  expect(writesOf(primary)).toBe(0);
  await writing;
  expect(loads).toBe(3);
});

test('a fence with an invalid timeline admits no host, and one that cannot be stored stops no write', async () => {
  const [primary, standby] = [await node('primary', 1), await node('standby', 1)];
  const wrong: TimelineFence = { load: () => Number.NaN, store: () => undefined };
  const closed = open([primary, standby], { fence: wrong, acquireTimeoutMs: 100 });
  await expect(closed.query(WRITE)).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    message: expect.stringContaining('fence could not be read'),
  });
  const unstorable: TimelineFence = {
    load: () => undefined,
    store: () => Promise.reject(new Error('disk full')),
  };
  const writable = open([primary, standby], { fence: unstorable });
  const failed = nextEvent(writable, 'fence-failed');
  await writable.query(WRITE);
  expect(await failed).toMatchObject({ action: 'store', error: 'disk full' });
  expect(writesOf(primary)).toBe(1);
});

test('a former primary gets no writes when only a standby has seen the promotion', async () => {
  const [former, follower] = [await node('primary', 1), await node('standby', 2)];
  const db = open([former, follower], { acquireTimeoutMs: 200 });
  await expect(db.query(WRITE)).rejects.toMatchObject({ code: 'DATABASE_NO_WRITABLE_HOST' });
  expect(writesOf(former)).toBe(0);
});

test('no host gets writes while fewer respond than minHostsSeen', async () => {
  const nodes = [await node('primary', 1), await node('standby', 1), await node('standby', 1)];
  const [, second, third] = nodes;
  const db = open(nodes, { minHostsSeen: 2, acquireTimeoutMs: 300 });
  await db.query(WRITE);
  await Promise.all([second?.stop(), third?.stop()]);
  await untilRoles(db, ['unknown', 'offline', 'offline']);
  await expect(db.query(WRITE)).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    message: expect.stringContaining('1 answer of the 2 that must'),
  });
  await second?.start();
  await untilRoles(db, ['primary', 'standby', 'offline']);
  await db.query(WRITE);
});

test('a file keeps the latest timeline, and is replaced atomically', async () => {
  const path = join(await folder(), 'timeline');
  const fence = createFileFence(path);
  expect(await fence.load()).toBeUndefined();
  await fence.store(7);
  await fence.store(3);
  expect(await createFileFence(path).load()).toBe(7);
  expect(await readFile(path, 'utf8')).toBe('7\n');
  expect(await readdir(join(path, '..'))).toEqual(['timeline']);
});

test('a file with other content is rejected by its name', async () => {
  const path = join(await folder(), 'timeline');
  await writeFile(path, 'seven');
  await expect(createFileFence(path).load()).rejects.toThrow(path);
  await expect(createFileFence(path).store(8)).rejects.toThrow(path);
});

test.each([
  ['an empty path', () => createFileFence('')],
  ['a fence for a single host', () => single({ fence: new MemoryFence() })],
  ['more hosts to be seen than there are', () => single({ minHostsSeen: 2 })],
  ['a fence that cannot store', () => single(JSON.parse('{ "fence": { "load": 1 } }'))],
])('%s is rejected at construction', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
});

function single(options: Partial<DatabaseOptions>): Database {
  return createDatabase({ hosts: 'postgres://a@127.0.0.1:1/b', ...options });
}
