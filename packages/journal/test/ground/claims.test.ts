import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type FileSystem,
  type Journal,
  type JournalOptions,
  openJournal,
} from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '../../src/files/memory-file-system.ts';

const DIRECTORY = '/journal';

function open(
  files: FileSystem,
  options: Partial<JournalOptions> = {},
  clock: FakeClock = createFakeClock(),
): Promise<Journal> {
  return openJournal({ directory: DIRECTORY, files, clock, segmentBytes: 4_096, ...options });
}

const ownersIn = (memory: MemoryFileSystem): string[] =>
  memory.names().filter((name) => name.startsWith('owner'));

/** Writes the record of an owner that has given the directory up. */
async function leaveOwner(memory: MemoryFileSystem, epoch: number): Promise<void> {
  const record = { token: 'another', pid: 1, host: 'h', sinceEpochMs: 1, released: true };
  const file = await memory.open(`${DIRECTORY}/owner.${epoch}`, 'create');
  await file.write(Buffer.from(JSON.stringify(record)), 0);
}

test.each([
  [1_000, 8_000, 1_000],
  [1_000, 4_000, 1_000],
  [1_000, 2_000, 500],
  [60_000, 5_000, 1_250],
])(
  'with heartbeatMs %i an owner that may be silent for %i ms touches its file every %i ms',
  async (heartbeatMs, ownerStaleMs, everyMs) => {
    const files = createMemoryFileSystem();
    const clock = createFakeClock();
    const journal = await open(files, { heartbeatMs, ownerStaleMs }, clock);
    const beats: string[] = [];
    files.intercept = ({ kind, name }) => {
      if (kind === 'write' && name === 'owner.1') beats.push(name);
    };
    for (let round = 1; round <= 3; round += 1) {
      await clock.advance(everyMs - 1);
      expect(beats).toHaveLength(round - 1);
      await clock.advance(1);
      while (beats.length < round) await nextTurn();
    }
    await journal.close();
    await clock.advance(10 * everyMs);
    expect(beats).toHaveLength(3);
    expect(clock.pendingTimers).toBe(0);
  },
);

test.each(['EEXIST', 'ENOENT'])(
  'a claim that another process was faster than (%s) is made again, and the next epoch is free',
  async (code) => {
    const memory = createMemoryFileSystem();
    let refusals = 0;
    const files: FileSystem = {
      ...memory,
      async link(existing, added) {
        if (refusals === 0) {
          refusals += 1;
          if (code === 'EEXIST') await leaveOwner(memory, 1);
          throw errno(code);
        }
        return memory.link(existing, added);
      },
    };
    const journal = await open(files);
    const epoch = code === 'EEXIST' ? 2 : 1;
    expect(journal.epoch).toBe(epoch);
    expect(ownersIn(memory)).toEqual([`owner.${epoch}`]);
    await journal.close();
  },
);

test('a claim that fails for another reason rejects with it, and leaves no claim behind', async () => {
  const memory = createMemoryFileSystem();
  const files: FileSystem = { ...memory, link: () => Promise.reject(errno('EPERM')) };
  await expect(open(files)).rejects.toMatchObject({ cause: { code: 'EPERM' } });
  expect(ownersIn(memory)).toEqual([]);
  await (await open(memory)).close();
});

test('a process that finds a higher epoch after its own claim withdraws, and claims the next one', async () => {
  const memory = createMemoryFileSystem();
  let raced = 0;
  const files: FileSystem = {
    ...memory,
    async link(existing, added) {
      await memory.link(existing, added);
      raced += 1;
      if (raced === 1) await leaveOwner(memory, 5);
    },
  };
  const journal = await open(files);
  expect(journal.epoch).toBe(6);
  expect(ownersIn(memory)).toEqual(['owner.6']);
  await journal.close();
});

test('the next owner removes the records of all earlier ones', async () => {
  const memory = createMemoryFileSystem();
  for (const epoch of [2, 3, 7]) await leaveOwner(memory, epoch);
  const journal = await open(memory);
  expect(journal.epoch).toBe(8);
  expect(ownersIn(memory)).toEqual(['owner.8']);
  await journal.close();
});

test('an owner whose file was replaced by another one finds the directory lost at its next beat', async () => {
  const memory = createMemoryFileSystem();
  const clock = createFakeClock();
  const journal = await open(memory, {}, clock);
  await leaveOwner(memory, 2);
  await clock.advance(1_000);
  while (journal.getStats().failure === undefined) await nextTurn();
  await expect(journal.append(Buffer.from('x'))).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await journal.close();
});
