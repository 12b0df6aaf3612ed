import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
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
    // A host that only is slow, on a busy machine, must not be taken for one that is away; what is down refuses at once.
    probeTimeoutMs: 10_000,
    ...options,
  });
  opened.push(() => db.close({ deadlineMs: 0 }));
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
  await before.close();
  await promoted.stop();

  const after = open([former, promoted], { fence, acquireTimeoutMs: 300 });
  // The error tells what was seen so far: both hosts have to have answered.
  await untilRoles(after, ['fenced', 'offline']);
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

test('each promotion is stored, one after the other, before its primary gets writes', async () => {
  const [one, other] = [await node('primary', 1), await node('standby', 1)];
  const fence = new MemoryFence();
  const db = open([one, other], { fence });
  await db.query(WRITE);
  for (const [at, [next, former]] of [
    [other, one],
    [one, other],
    [other, one],
  ].entries()) {
    former?.setBehavior({ role: 'standby' });
    next?.setBehavior({ role: 'primary', timeline: at + 2 });
    await db.query(WRITE);
    expect(fence.stored.at(-1)).toBe(at + 2);
  }
  expect(fence.stored).toEqual([1, 2, 3, 4]);
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

test('a fence with an invalid timeline admits no host', async () => {
  const [primary, standby] = [await node('primary', 1), await node('standby', 1)];
  const wrong: TimelineFence = { load: () => Number.NaN, store: () => undefined };
  const closed = open([primary, standby], { fence: wrong, acquireTimeoutMs: 100 });
  await expect(closed.query(WRITE)).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    message: expect.stringContaining('fence could not be read yet (INVALID_OPTION fence: load()'),
    cause: { code: 'INVALID_OPTION', field: 'load()' },
  });
});

const failures: readonly [string, () => Promise<void> | void][] = [
  ['rejects', async () => Promise.reject(new Error('disk full'))],
  [
    'throws',
    () => {
      throw new Error('disk full');
    },
  ],
  ['hangs', () => new Promise(() => undefined)],
];

test.each(failures)(
  'while a store %s, writes wait and reads go on; once it works writes are served',
  async (_, fail) => {
    const [first, second] = [await node('primary', 1), await node('standby', 1)];
    const third = await node('standby', 1);
    let isBroken = false;
    const fence = new MemoryFence();
    const broken: TimelineFence = {
      load: () => fence.load(),
      store: (timeline) => (isBroken ? fail() : fence.store(timeline)),
    };
    const db = open([first, second, third], { fence: broken, probeTimeoutMs: 1_000 });
    await db.query(WRITE);
    isBroken = true;
    const failed = nextEvent(db, 'fence-failed');
    await first.stop();
    second.setBehavior({ role: 'primary', timeline: 2 });
    expect(await failed).toMatchObject({ action: 'store' });
    const error: unknown = await db.query(WRITE, [], { timeoutMs: 300 }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'DATABASE_NO_WRITABLE_HOST',
      outcome: 'not-applied',
      retryable: true,
      message: expect.stringMatching(/the fence has not stored timeline 2 yet \(.*mend its store/),
      cause: expect.any(Error),
    });
    expect(db.health().level).toBe('critical');
    expect(writesOf(second)).toBe(0);
    await db.read('any', (reader) => reader.query('select 1'));
    const writing = db.query(WRITE);
    isBroken = false;
    await writing;
    expect([writesOf(second), fence.timeline, db.health().primary]).toEqual([
      1,
      2,
      new URL(second.url).host,
    ]);
  },
);

test('after a restart no former primary gets writes, though the fence could not store the promotion', async () => {
  const [former, promoted] = [await node('primary', 1), await node('standby', 1)];
  const path = join(await folder(), 'fence');
  await mkdir(path);
  const options = { fence: createFileFence(join(path, 'timeline')), acquireTimeoutMs: 300 };
  const before = open([former, promoted], options);
  await before.query(WRITE);
  await rm(path, { recursive: true });
  const failed = nextEvent(before, 'fence-failed');
  await former.stop();
  promoted.setBehavior({ role: 'primary', timeline: 2 });
  expect(await failed).toMatchObject({ action: 'store', error: expect.stringContaining('ENOENT') });
  // What the promoted one had accepted would be missed by whoever knows the former primary only.
  expect(await before.query(WRITE).catch((e: unknown) => e)).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
  });
  await before.close();
  await promoted.stop();
  await former.start();
  // A folder that is missing is not a fence that never stored anything.
  expect(await Promise.resolve(options.fence.load()).catch((e: unknown) => e)).toMatchObject({
    code: 'ENOENT',
  });
  const after = open([former, promoted], options);
  expect(await after.query(WRITE).catch((e: unknown) => e)).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    cause: { code: 'ENOENT' },
  });
  expect(after.health().level).toBe('critical');
  expect([writesOf(former), writesOf(promoted)]).toEqual([1, 0]);
});

test('a fence whose stored timeline is the latest needs no store that works', async () => {
  const [primary, standby] = [await node('primary', 3), await node('standby', 3)];
  const readOnly: TimelineFence = {
    load: () => 3,
    store: () => Promise.reject(new Error('read-only file system')),
  };
  const db = open([primary, standby], { fence: readOnly });
  await db.query(WRITE);
  expect(writesOf(primary)).toBe(1);
});

test('of two processes one stores for both, and neither writes before', async () => {
  const [first, second] = [await node('primary', 1), await node('standby', 1)];
  const path = join(await folder(), 'timeline');
  const shared = createFileFence(path);
  const unable: TimelineFence = {
    load: () => shared.load(),
    store: () => Promise.reject(new Error('read-only file system')),
  };
  const able = open([first, second], { fence: shared });
  await able.query(WRITE);
  const other = open([first, second], { fence: unable, acquireTimeoutMs: 200 });
  await other.query(WRITE);
  first.setBehavior({ role: 'standby' });
  second.setBehavior({ role: 'primary', timeline: 2 });
  await able.query(WRITE);
  expect(await other.query(WRITE).catch((e: unknown) => e)).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    cause: { message: 'read-only file system' },
  });
  const restarted = open([first, second], { fence: unable });
  await restarted.query(WRITE);
  expect(writesOf(second)).toBe(2);
});

test('an error for want of a primary has the failures of the hosts as its cause', async () => {
  const [one, other] = [await node('primary', 1), await node('standby', 1)];
  const db = open([one, other], { acquireTimeoutMs: 300 });
  await db.query(WRITE);
  await one.stop();
  await untilRoles(db, ['offline', 'standby']);
  expect(await db.query(WRITE).catch((error: unknown) => error)).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    cause: { code: 'ECONNREFUSED' },
  });
  await other.stop();
  await untilRoles(db, ['offline', 'offline']);
  expect(await db.query(WRITE).catch((error: unknown) => error)).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    cause: { errors: [{ code: 'ECONNREFUSED' }, { code: 'ECONNREFUSED' }] },
  });
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
  ['a fence in a missing folder', () => createFileFence('/no/such/folder/timeline')],
  ['a fence below a file', () => createFileFence(`${import.meta.filename}/timeline`)],
  ['a fence for a single host', () => single({ fence: new MemoryFence() })],
  ['more hosts to be seen than there are', () => single({ minHostsSeen: 2 })],
  ['a fence that cannot store', () => single(JSON.parse('{ "fence": { "load": 1 } }'))],
])('%s is rejected at construction', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
});

function single(options: Partial<DatabaseOptions>): Database {
  return createDatabase({ hosts: 'postgres://a@127.0.0.1:1/b', ...options });
}
