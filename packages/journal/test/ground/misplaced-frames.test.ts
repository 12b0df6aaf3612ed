import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, openJournal } from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
} from '../../src/files/memory-file-system.ts';
import { HEADER_BYTES } from '../../src/segments/segment-format.ts';

const clock = createFakeClock();
const FIRST = '00000000000000000001.journal';
/** A record of 100 bytes with its frame. */
const FRAME = 120;
const RECORDS = 10;

function open(files: MemoryFileSystem): Promise<Journal> {
  return openJournal({ directory: '/journal', files, clock, segmentBytes: 65_536 });
}

/** A closed journal with ten records of 100 bytes. */
async function filled(): Promise<MemoryFileSystem> {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  for (let record = 1; record <= RECORDS; record += 1) {
    await journal.append(Buffer.alloc(100, record));
  }
  await journal.close();
  return files;
}

/** Where the frame of a record begins. */
const frameOf = (sequence: number): number => HEADER_BYTES + (sequence - 1) * FRAME;

/** Copies the frame of one record over that of another, as a disk does that writes to the wrong place. */
function misplace(files: MemoryFileSystem, from: number, to: number): void {
  const content = files.content(FIRST);
  content.copyWithin(frameOf(to), frameOf(from), frameOf(from) + FRAME);
}

/** The records with their first bytes, which tell whose payload it is. */
const recordsOf = async (journal: Journal): Promise<[number, number | undefined][]> =>
  (await journal.read(1)).map(({ sequence, payload }) => [sequence, payload[0]]);

const allBut = (missing: number): [number, number][] =>
  Array.from({ length: RECORDS }, (_, index): [number, number] => [index + 1, index + 1]).filter(
    ([sequence]) => sequence !== missing,
  );

const pairs = [
  [3, 4],
  [4, 3],
  [9, 2],
  [1, RECORDS - 1],
] as const;

test.each(pairs)(
  'the intact frame of record %i in the place of record %i is damage, and no other record is lost (found by a read)',
  async (from, to) => {
    const files = await filled();
    const journal = await open(files);
    const damaged: unknown[] = [];
    journal.on('quarantined', ({ firstSequence, lastSequence }) =>
      damaged.push([firstSequence, lastSequence]),
    );
    misplace(files, from, to);
    expect(await recordsOf(journal)).toEqual(allBut(to));
    expect(damaged).toEqual([[to, to]]);
    await journal.close();
  },
);

test.each(pairs)(
  'the intact frame of record %i in the place of record %i is damage, and no other record is lost (found at the opening)',
  async (from, to) => {
    const files = await filled();
    misplace(files, from, to);
    const journal = await open(files);
    expect(await recordsOf(journal)).toEqual(allBut(to));
    expect(journal.recovery.quarantined).toHaveLength(1);
    await journal.close();
  },
);

test('however many bytes a damaged frame claims, no more are asked for than the file has', async () => {
  for (const claimed of [0, 1, 99, 101, 5_000, 65_535, 2 ** 24, 2 ** 31, 2 ** 32 - 1]) {
    const files = await filled();
    const content = files.content(FIRST);
    for (const record of [4, 5]) content.writeUInt32LE(claimed, frameOf(record) + 4);
    let most = 0;
    files.intercept = ({ kind, bytes }) => {
      if (kind === 'read') most = Math.max(most, bytes);
    };
    const journal = await open(files);
    const records = await recordsOf(journal);
    expect(records.map(([sequence]) => sequence)).toEqual([1, 2, 3, 6, 7, 8, 9, 10]);
    expect(most).toBeLessThanOrEqual(content.length);
    await journal.close();
  }
});

test('a read that continues where the last one ended opens no file, also after one that found nothing', async () => {
  const files = await filled();
  const journal = await open(files);
  let opened = 0;
  files.intercept = ({ kind, name }) => {
    if (kind === 'open' && name === FIRST) opened += 1;
  };
  const read = async (from: number, maxRecords: number): Promise<number[]> =>
    (await journal.read(from, { maxRecords })).map(({ sequence }) => sequence);
  expect(await read(1, 3)).toEqual([1, 2, 3]);
  expect(await read(4, 3)).toEqual([4, 5, 6]);
  expect(await read(RECORDS + 1, 3)).toEqual([]);
  expect(await read(7, 3)).toEqual([7, 8, 9]);
  expect(opened).toBe(1);
  expect(await read(2, 2)).toEqual([2, 3]);
  expect(opened).toBe(2);
  await journal.close();
});
