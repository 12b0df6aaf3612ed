import { readFile, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type JournalOptions, nodeFileSystem, openJournal } from '../src/index.ts';
import { describeSelf, ownerLiveness } from '../src/ownership/owner-record.ts';
import { startOwner } from './child.ts';
import { freshDirectory } from './directory.ts';
import { createMemoryFileSystem } from '../src/files/memory-file-system.ts';

function open(
  directory: string,
  options: Partial<JournalOptions> = {},
): ReturnType<typeof openJournal> {
  return openJournal({ directory, segmentBytes: 4_096, acquireTimeoutMs: 0, ...options });
}

test('a directory has one owner: a second opening in the same process is rejected too', async () => {
  const directory = await freshDirectory();
  const journal = await open(directory);
  try {
    await expect(open(directory)).rejects.toMatchObject({
      code: 'JOURNAL_LOCKED',
      pid: process.pid,
      retryable: true,
    });
  } finally {
    await journal.close();
  }
});

test('the identity never changes, and the epoch rises with each owner, after a clean close too', async () => {
  const directory = await freshDirectory();
  const seen: [string, number][] = [];
  for (let round = 0; round < 3; round += 1) {
    const journal = await open(directory);
    seen.push([journal.id, journal.epoch]);
    await journal.close();
  }
  const id = seen[0]?.[0] ?? '';
  expect(seen).toEqual([
    [id, 1],
    [id, 2],
    [id, 3],
  ]);
  expect((await readdir(directory)).filter((name) => name.startsWith('owner'))).toEqual([
    'owner.3',
  ]);
});

test('a running process keeps its directory; a killed one loses it at once', async () => {
  const directory = await freshDirectory();
  const child = startOwner(directory, 'hold');
  await child.line(/^owner 1$/);
  await expect(open(directory)).rejects.toMatchObject({ code: 'JOURNAL_LOCKED', pid: child.pid });
  await child.kill();
  const journal = await open(directory);
  expect(journal.epoch).toBe(2);
  await journal.close();
}, 20_000);

/** Each costs four starts of a process; HOLDFAST_RACES asks for more. */
const RACES = Number(process.env['HOLDFAST_RACES'] ?? 5);

test('of four processes racing for a dead owner’s directory exactly one wins, time and again', async () => {
  const directory = await freshDirectory();
  let epoch = 0;
  for (let round = 0; round < RACES; round += 1) {
    const racers = Array.from({ length: 4 }, () => startOwner(directory, 'hold'));
    const lines = await Promise.all(racers.map((racer) => racer.line(/^(owner|refused)/)));
    const owners = lines.filter((line) => line.startsWith('owner '));
    const refused = lines.filter((line) => line === 'refused JOURNAL_LOCKED');
    expect([owners.length, refused.length]).toEqual([1, 3]);
    const won = Number(owners[0]?.slice('owner '.length));
    expect(won).toBeGreaterThan(epoch);
    epoch = won;
    await Promise.all(racers.map((racer) => racer.kill()));
  }
}, 120_000);

/** Rewrites the owner's name as another machine's process would have left it. */
async function disguise(directory: string, as: Record<string, unknown>): Promise<string> {
  const path = join(directory, 'owner.1');
  const record: unknown = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...Object(record), released: false, ...as }));
  return path;
}

const elsewhere = { host: 'elsewhere', bootId: 'another-boot', pid: 1 };

test('an owner on another machine is alive while its heartbeat is fresh and dead when it is stale', async () => {
  const directory = await freshDirectory();
  await (await open(directory)).close();
  const path = await disguise(directory, elsewhere);
  await expect(open(directory)).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    host: 'elsewhere',
    pid: 1,
  });
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(path, longAgo, longAgo);
  const journal = await open(directory);
  expect(journal.epoch).toBe(2);
  await journal.close();
});

test.each([-3_600_000, 3_600_000])(
  'the clock of an owner on another machine that is %i ms apart neither kills it nor keeps it alive',
  async (apartMs) => {
    const directory = await freshDirectory();
    await (await open(directory)).close();
    const path = await disguise(directory, { ...elsewhere, sinceEpochMs: Date.now() + apartMs });
    // This process's own clock is apart from the directory's as well.
    const clock = createFakeClock(Date.now() - apartMs);
    await expect(open(directory, { clock })).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(path, longAgo, longAgo);
    const journal = await open(directory, { clock });
    expect(journal.epoch).toBe(2);
    await journal.close();
  },
);

test('opening watches a remote owner until its heartbeat is stale', async () => {
  const directory = await freshDirectory();
  await (await open(directory, { ownerStaleMs: 600 })).close();
  await disguise(directory, elsewhere);
  const journal = await open(directory, { acquireTimeoutMs: 60_000 });
  expect(journal.epoch).toBe(2);
  await journal.close();
});

test('opening rejects as soon as a remote owner’s heartbeat is seen', async () => {
  const directory = await freshDirectory();
  await (await open(directory)).close();
  const path = await disguise(directory, elsewhere);
  let looks = 0;
  const files = {
    ...nodeFileSystem,
    status: async (asked: string) => {
      if (asked === path && (looks += 1) === 2) await utimes(path, new Date(), new Date());
      return nodeFileSystem.status(asked);
    },
  };
  await expect(open(directory, { files, acquireTimeoutMs: 60_000 })).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
  });
  expect(looks).toBe(2);
});

test('an aborted opening ends with the reason of its signal and leaves no claim behind', async () => {
  const directory = await freshDirectory();
  await (await open(directory)).close();
  await disguise(directory, elsewhere);
  const controller = new AbortController();
  const reason = new Error('shutting down');
  const opening = open(directory, { acquireTimeoutMs: 60_000, signal: controller.signal });
  controller.abort(reason);
  await expect(opening).rejects.toBe(reason);
  expect(await readdir(directory)).toEqual(['checkpoint', 'owner.1']);
});

test('whether an owner still runs is derived from its process', async () => {
  const self = await describeSelf('self', 0);
  const machine = { ...self, bootId: 'this boot', pidNamespace: 'pid:[4026531836]' };
  const inContainer = { ...machine, pidNamespace: 'pid:[4026539999]' };
  const judged = await Promise.all([
    ownerLiveness({ ...self, released: true }, self),
    ownerLiveness(self, self),
    ownerLiveness({ ...self, startTicks: '1' }, self),
    ownerLiveness({ ...self, pid: 4_194_305 }, self),
    ownerLiveness({ ...machine, bootId: 'the boot before' }, machine),
    ownerLiveness({ ...inContainer, bootId: 'the boot before' }, inContainer),
    ownerLiveness({ ...machine, bootId: 'the boot before', host: 'elsewhere' }, machine),
    ownerLiveness(inContainer, machine),
  ]);
  expect(judged).toEqual([
    'dead', // gave it free
    'alive',
    'dead', // its pid was given to another process
    'dead', // no such process
    'dead', // the machine was started anew
    'unknown', // a container's twin may run elsewhere
    'unknown', // another machine
    'unknown', // another container
  ]);
});

test('a suspended owner that was replaced writes nothing more', async () => {
  const clock = createFakeClock();
  const files = createMemoryFileSystem();
  const settings = { directory: '/journal', files, clock, segmentBytes: 4_096 };
  const journal = await openJournal(settings);
  await journal.append(Buffer.from('mine'));
  const lost: string[] = [];
  journal.on('lost', (error) => void lost.push(error.code));
  // Another machine takes over while this process is suspended: its timers do not run.
  const successor = await files.open('/journal/owner.2', 'create');
  const record = { token: 'other', pid: 9, host: 'elsewhere', sinceEpochMs: 0, released: false };
  await successor.write(Buffer.from(JSON.stringify(record)), 0);
  clock.stepWallClock(60_000);
  const written = (): string[] =>
    ['00000000000000000001.journal', 'checkpoint'].map((name) =>
      files.content(name).toString('hex'),
    );
  const before = written();
  await journal.release(1);
  await expect(journal.append(Buffer.from('late'))).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    host: 'elsewhere',
    retryable: false,
    outcome: 'not-applied',
  });
  await expect(journal.append(Buffer.from('later'))).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
  });
  expect(lost).toEqual(['JOURNAL_LOCKED']);
  expect(journal.getStats()).toMatchObject({ state: 'lost', released: 1 });
  await clock.advance(60_000);
  expect(clock.pendingTimers).toBe(0);
  await journal.close();
  expect(written()).toEqual(before);
  expect(journal.getStats().state).toBe('closed');
  expect(clock.pendingTimers).toBe(0);
});

test('a suspended owner that was not replaced continues', async () => {
  const clock = createFakeClock();
  const files = createMemoryFileSystem();
  const journal = await openJournal({ directory: '/journal', files, clock, segmentBytes: 4_096 });
  clock.stepWallClock(3_600_000);
  expect(await journal.append(Buffer.from('a'))).toBe(1);
  await journal.close();
});
