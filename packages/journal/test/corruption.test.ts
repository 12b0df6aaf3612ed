import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, type JournalOptions, openJournal } from '../src/index.ts';
import { type MemoryFileSystem, createMemoryFileSystem } from '../src/files/memory-file-system.ts';

const clock = createFakeClock();
const FIRST = '00000000000000000001.journal';
/** Ten records of 100 bytes fill 1 200 of a segment's 2 048 bytes, of which 1 024 are its header. */
const FRAME = 120;
const HEADER = 1_024;

function open(files: MemoryFileSystem, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory: '/journal', files, clock, segmentBytes: 2_304, ...options });
}

/** Three segments of ten, ten and five records, closed. */
async function filled(): Promise<MemoryFileSystem> {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  for (let record = 1; record <= 25; record += 1) await journal.append(Buffer.alloc(100, record));
  await journal.close();
  return files;
}

async function sequences(journal: Journal): Promise<number[]> {
  return (await journal.read(1)).map((record) => record.sequence);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, place) => first + place);
}

function damage(files: MemoryFileSystem, name: string, at: number): void {
  const content = files.content(name);
  content[at] = (content[at] ?? 0) ^ 0xff;
}

test('a damaged record is named, kept as evidence, and the records around it are read', async () => {
  const files = await filled();
  damage(files, FIRST, HEADER + 3 * FRAME + 50);
  const journal = await open(files);
  expect(journal.recovery.records).toBe(24);
  expect(journal.recovery.quarantined).toMatchObject([
    {
      code: 'JOURNAL_CORRUPT',
      file: `/journal/${FIRST}`,
      offset: HEADER + 3 * FRAME,
      firstSequence: 4,
      lastSequence: 4,
      acknowledged: true,
    },
  ]);
  expect(await sequences(journal)).toEqual([...range(1, 3), ...range(5, 25)]);
  expect(await journal.read(4, { maxRecords: 1 })).toMatchObject([{ sequence: 5 }]);
  expect(files.names()).toContain(`${FIRST}.quarantined`);
  await journal.release(25);
  await journal.close();
  expect(files.names()).not.toContain(FIRST);
  expect(files.names()).toContain(`${FIRST}.quarantined`);
});

test('a damaged length does not hide the records after it', async () => {
  const files = await filled();
  damage(files, FIRST, HEADER + 3 * FRAME + 7);
  damage(files, FIRST, HEADER + 6 * FRAME + 4);
  const journal = await open(files);
  expect(await sequences(journal)).toEqual([1, 2, 3, 5, 6, ...range(8, 25)]);
  expect(journal.recovery.quarantined).toHaveLength(2);
  await journal.close();
});

test('with onCorruption refuse the opening rejects and no record changes', async () => {
  const files = await filled();
  damage(files, FIRST, HEADER + 50);
  const before = files.names().map((name) => Buffer.from(files.content(name)).toString('hex'));
  await expect(open(files, { onCorruption: 'refuse' })).rejects.toMatchObject({
    code: 'JOURNAL_CORRUPT',
    firstSequence: 1,
    lastSequence: 1,
  });
  const after = files.names().map((name) => Buffer.from(files.content(name)).toString('hex'));
  // The owner's name alone was written.
  expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
  const journal = await open(files);
  expect(await sequences(journal)).toEqual(range(2, 25));
  await journal.close();
});

test('a missing segment is named', async () => {
  const files = await filled();
  await files.remove('/journal/00000000000000000011.journal');
  const journal = await open(files);
  expect(journal.recovery.quarantined).toMatchObject([{ firstSequence: 11, lastSequence: 20 }]);
  expect(await sequences(journal)).toEqual([...range(1, 10), ...range(21, 25)]);
  await journal.close();
});

test('a missing oldest segment and a missing newest one are named too', async () => {
  const files = await filled();
  await files.remove(`/journal/${FIRST}`);
  await files.remove('/journal/00000000000000000021.journal');
  const journal = await open(files);
  expect(journal.recovery.quarantined).toMatchObject([
    { firstSequence: 1, lastSequence: 10 },
    { firstSequence: 21, lastSequence: 25 },
  ]);
  expect(await sequences(journal)).toEqual(range(11, 20));
  expect(await journal.append(Buffer.from('new'))).toBe(26);
  await journal.close();
});

test('an unreadable header loses only its segment, and one damaged copy loses nothing', async () => {
  const files = await filled();
  damage(files, FIRST, 20);
  damage(files, '00000000000000000011.journal', 20);
  damage(files, '00000000000000000011.journal', 512 + 20);
  const journal = await open(files);
  expect(journal.recovery.quarantined).toMatchObject([{ firstSequence: 11, lastSequence: 20 }]);
  expect(await sequences(journal)).toEqual([...range(1, 10), ...range(21, 25)]);
  await journal.close();
});

test('an unfinished write at the end is cut off and counted', async () => {
  const files = await filled();
  const journal = await open(files);
  await journal.append(Buffer.alloc(100, 26));
  const crashed = files.crash('kill', () => 0);
  await Promise.allSettled([journal.close()]);
  const newest = '00000000000000000026.journal';
  crashed.content(newest).write('half of a record', HEADER + FRAME);
  const next = await open(crashed);
  expect(next.recovery).toMatchObject({ truncatedBytes: 16, truncatedFrom: 27, quarantined: [] });
  expect(await sequences(next)).toEqual(range(1, 26));
  await next.close();
  const again = await open(crashed);
  expect(again.recovery.truncatedBytes).toBe(0);
  await again.close();
});

test('of a batch that power loss has torn, the whole frames are kept and no loss is claimed', async () => {
  for (const torn of [0, 1, 2]) {
    const files = createMemoryFileSystem();
    const journal = await open(files);
    await journal.append(Buffer.alloc(100, 1));
    void journal.appendAll([2, 3, 4].map((record) => Buffer.alloc(100, record)));
    await Promise.allSettled([journal.append(Buffer.alloc(0))]);
    const crashed = files.crash('kill', () => 0);
    await Promise.allSettled([journal.close()]);
    // The append behind the batch was never written.
    crashed.content(FIRST).fill(0, HEADER + 4 * FRAME);
    damage(crashed, FIRST, HEADER + (1 + torn) * FRAME + 50);
    const next = await open(crashed);
    const left = [1, 2, 3, 4].filter((sequence) => sequence !== 2 + torn);
    expect(await sequences(next)).toEqual(left);
    const isLast = torn === 2;
    expect(next.recovery.quarantined).toMatchObject(
      isLast ? [] : [{ firstSequence: 2 + torn, lastSequence: 2 + torn, acknowledged: false }],
    );
    expect(next.recovery.truncatedBytes > 0).toBe(isLast);
    await next.close();
  }
});

test('damage before a later batch is a loss of what was acknowledged', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  for (let record = 1; record <= 3; record += 1) await journal.append(Buffer.alloc(100, record));
  const crashed = files.crash('kill', () => 0);
  await Promise.allSettled([journal.close()]);
  damage(crashed, FIRST, HEADER + FRAME + 50);
  const next = await open(crashed);
  expect(next.recovery.quarantined).toMatchObject([
    { firstSequence: 2, lastSequence: 2, acknowledged: true },
  ]);
  await next.close();
});

test('a lost checkpoint is reported, and released records may be read once more', async () => {
  const files = await filled();
  const journal = await open(files);
  await journal.release(5);
  await journal.close();
  files.content('checkpoint').fill(0xff);
  const next = await open(files);
  expect(next.recovery).toMatchObject({ checkpointLost: true, records: 25, quarantined: [] });
  expect(next.id).toBe(journal.id);
  expect(await sequences(next)).toEqual(range(1, 25));
  await next.close();
});

test('damage to an open journal is found by the next read and reported once', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  for (let record = 1; record <= 5; record += 1) await journal.append(Buffer.alloc(100, record));
  damage(files, FIRST, HEADER + FRAME + 50);
  const named: number[] = [];
  journal.on('quarantined', (error) => void named.push(error.firstSequence));
  expect(await sequences(journal)).toEqual([1, 3, 4, 5]);
  expect(await sequences(journal)).toEqual([1, 3, 4, 5]);
  await journal.append(Buffer.alloc(100, 6));
  expect(await sequences(journal)).toEqual([1, 3, 4, 5, 6]);
  expect(named).toEqual([2]);
  expect(journal.getStats()).toMatchObject({ records: 5, quarantinedRanges: 1 });
  await journal.close();
});

test('with onCorruption refuse a read stops at the damage', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files, { onCorruption: 'refuse' });
  for (let record = 1; record <= 3; record += 1) await journal.append(Buffer.alloc(100, record));
  damage(files, FIRST, HEADER + FRAME + 50);
  await expect(journal.read(1)).rejects.toMatchObject({
    code: 'JOURNAL_CORRUPT',
    firstSequence: 2,
  });
  await expect(journal.read(1)).rejects.toMatchObject({
    code: 'JOURNAL_CORRUPT',
    firstSequence: 2,
  });
  expect(await journal.read(1, { maxRecords: 1 })).toHaveLength(1);
  await journal.close();
});

test('unreadable sectors lose only their own records', async () => {
  const files = createMemoryFileSystem();
  const big = { segmentBytes: 65_536 };
  const journal = await open(files, big);
  for (let record = 1; record <= 60; record += 1) await journal.append(Buffer.alloc(480, record));
  await journal.close();
  const partly = {
    ...files,
    open: async (...args: Parameters<typeof files.open>) => {
      const file = await files.open(...args);
      return {
        ...file,
        read: async (into: Uint8Array, at: number) => {
          if (at < 16_384 && at + into.length > 8_192) {
            throw Object.assign(new Error('bad sector'), { code: 'EIO' });
          }
          return file.read(into, at);
        },
      };
    },
  };
  const next = await openJournal({ directory: '/journal', files: partly, clock, ...big });
  const lost = next.recovery.quarantined.map((each) => [each.firstSequence, each.lastSequence]);
  expect(lost).toHaveLength(1);
  const [[first = 0, last = 0] = []] = lost;
  expect(last - first).toBeLessThan(30);
  expect(next.recovery.records).toBe(60 - (last - first + 1));
  await next.close();
});
