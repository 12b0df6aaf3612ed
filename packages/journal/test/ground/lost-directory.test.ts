import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, type JournalOptions, openJournal } from '../../src/index.ts';
import { createMemoryFileSystem, errno } from '../../src/files/memory-file-system.ts';
import { freshDirectory } from '../directory.ts';

const durabilities = ['commit', 'os'] as const;

function open(directory: string, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory, segmentBytes: 4_096, ...options });
}

async function emptied(directory: string, which = /./): Promise<void> {
  const names = (await readdir(directory)).filter((name) => which.test(name));
  await Promise.all(names.map((name) => rm(join(directory, name), { recursive: true })));
}

/** What happens to a directory while a journal is open in it. */
const losses: [string, (directory: string) => Promise<void>][] = [
  ['removed', (directory) => rm(directory, { recursive: true })],
  ['emptied', (directory) => emptied(directory)],
  ['emptied of its segments', (directory) => emptied(directory, /\.journal$/)],
  ['emptied of its lock', (directory) => emptied(directory, /^owner/)],
  ['renamed', (directory) => rename(directory, `${directory}-moved`)],
  [
    'replaced by an empty one',
    async (directory) => {
      await rename(directory, `${directory}-moved`);
      await mkdir(directory);
    },
  ],
];

test.each(
  losses.flatMap(([loss, lose]) => durabilities.map((each) => [loss, each, lose] as const)),
)(
  'a directory that is %s while it is open (%s): the next append rejects, typed, and so do all others',
  async (_, durability, lose) => {
    const directory = await freshDirectory();
    const journal = await open(directory, { durability });
    await journal.append(Buffer.from('before'));
    const lost: string[] = [];
    journal.on('lost', (error) => void lost.push(error.code));
    await lose(directory);
    await expect(journal.append(Buffer.from('into nothing'))).rejects.toMatchObject({
      code: 'JOURNAL_UNAVAILABLE',
      directory,
      outcome: 'unknown',
      message: expect.stringContaining('was removed, renamed or emptied while it was open'),
    });
    await expect(journal.append(Buffer.from('refused'))).rejects.toMatchObject({
      code: 'JOURNAL_UNAVAILABLE',
      outcome: 'not-applied',
    });
    expect(lost).toEqual(['JOURNAL_UNAVAILABLE']);
    expect(journal.getStats()).toMatchObject({
      state: 'lost',
      failure: { code: 'JOURNAL_UNAVAILABLE' },
    });
    await journal.close();
    // The path is free for the next journal.
    const next = await open(directory);
    expect(await next.append(Buffer.from('next'))).toBeGreaterThan(0);
    await next.close();
  },
);

test('a directory that is replaced by a copy of itself is another one’s', async () => {
  const directory = await freshDirectory();
  const journal = await open(directory);
  await journal.append(Buffer.from('before'));
  await cp(directory, `${directory}-copy`, { recursive: true });
  await rename(directory, `${directory}-moved`);
  await rename(`${directory}-copy`, directory);
  await expect(journal.append(Buffer.from('into nothing'))).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
  });
  await journal.close();
});

test('a directory that is removed is noticed by the heartbeat, without an append', async () => {
  const directory = await freshDirectory();
  const journal = await open(directory, { heartbeatMs: 10 });
  const lost = new Promise((resolve) => {
    journal.on('lost', resolve);
  });
  await rm(directory, { recursive: true });
  expect(await lost).toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  await journal.close();
});

test('an append and the removal of the directory at the same time: what is acknowledged was in the directory', async () => {
  const directory = await freshDirectory();
  const journal = await open(directory, { durability: 'os' });
  const count = { acknowledged: 0 };
  let removed = Infinity;
  const appending = (async () => {
    while (true) {
      await journal.append(Buffer.from('a'));
      count.acknowledged += 1;
    }
  })();
  while (count.acknowledged < 20) await nextTurn();
  await rm(directory, { recursive: true });
  removed = count.acknowledged;
  await expect(appending).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  // At most the append whose write had ended when the directory went.
  expect(count.acknowledged - removed).toBeLessThanOrEqual(1);
  await journal.close();
});

test.each(['EROFS', 'EIO', 'EACCES'])(
  'a disk that turns %s while it is open is noticed by the heartbeat, and until it passes',
  async (code) => {
    const clock = createFakeClock();
    const files = createMemoryFileSystem();
    const settings = { directory: '/journal', files, clock, segmentBytes: 4_096 };
    const journal = await openJournal(settings);
    await journal.append(Buffer.from('before'));
    files.intercept = ({ kind }) => {
      if (kind === 'write') throw errno(code);
    };
    await clock.advance(1_000);
    expect(journal.getStats().failure).toMatchObject({
      code: 'JOURNAL_WRITE_FAILED',
      message: expect.stringContaining(code),
    });
    await expect(journal.append(Buffer.from('refused'))).rejects.toMatchObject({
      code: 'JOURNAL_WRITE_FAILED',
    });
    files.intercept = () => undefined;
    await clock.advance(1_000);
    expect(journal.getStats()).not.toHaveProperty('failure');
    expect(await journal.append(Buffer.from('after'))).toBe(2);
    await journal.close();
  },
);

test('a full disk is a failure until an append succeeds', async () => {
  const files = createMemoryFileSystem();
  const clock = createFakeClock();
  const journal = await openJournal({ directory: '/journal', files, clock, segmentBytes: 4_096 });
  files.capacityBytes = 0;
  await expect(journal.append(Buffer.alloc(5_000))).rejects.toMatchObject({ limit: 'disk' });
  expect(journal.getStats().failure).toMatchObject({ code: 'JOURNAL_FULL' });
  files.capacityBytes = Infinity;
  await journal.append(Buffer.from('a'));
  expect(journal.getStats()).not.toHaveProperty('failure');
  await journal.close();
});
