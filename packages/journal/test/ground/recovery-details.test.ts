import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type FileSystem,
  type Journal,
  type JournalOptions,
  openJournal,
} from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
} from '../../src/files/memory-file-system.ts';
import { recoverSegments } from '../../src/recovery.ts';
import { bytesFrom, indexPointBefore } from '../../src/segments/segment.ts';
import {
  FRAME_BYTES,
  HEADER_BYTES,
  decodeHeader,
  encodeFrame,
} from '../../src/segments/segment-format.ts';

const clock = createFakeClock();
const FIRST = '00000000000000000001.journal';
/** A record of 100 bytes with its frame. */
const FRAME = 120;

function open(files: FileSystem, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory: '/journal', files, clock, segmentBytes: 4_096, ...options });
}

/** A closed journal with so many records of 100 bytes. */
async function filled(records: number): Promise<MemoryFileSystem> {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  for (let record = 1; record <= records; record += 1) {
    await journal.append(Buffer.alloc(100, record));
  }
  await journal.close();
  return files;
}

const sequencesOf = async (journal: Journal): Promise<number[]> =>
  (await journal.read(1)).map(({ sequence }) => sequence);

test('an intact segment is one extent, with a search point at least every so many bytes', async () => {
  const files = await filled(20);
  const { segments, next, damages } = await recoverSegments(
    files,
    '/journal',
    undefined,
    3 * FRAME,
  );
  expect([next, damages, segments.length]).toEqual([21, [], 1]);
  const [segment] = segments;
  if (segment === undefined) throw new Error('there is no segment');
  expect(segment.extents).toMatchObject([
    { first: 1, end: 21, offset: HEADER_BYTES, endOffset: HEADER_BYTES + 20 * FRAME },
  ]);
  const points = segment.extents[0]?.points ?? [];
  expect(points).toEqual(
    [4, 7, 10, 13, 16, 19].map((sequence) => ({
      sequence,
      offset: HEADER_BYTES + (sequence - 1) * FRAME,
    })),
  );
  const [extent] = segment.extents;
  if (extent === undefined) throw new Error('there is no extent');
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    const point = indexPointBefore(extent, sequence);
    expect(point.sequence).toBe(sequence - ((sequence - 1) % 3));
    expect(bytesFrom(segment, sequence)).toBe(extent.endOffset - point.offset);
  }
  expect(bytesFrom(segment, 21)).toBe(0);
});

test('a segment around a damaged record is two extents, and the record is in neither', async () => {
  const files = await filled(10);
  const content = files.content(FIRST);
  content.writeUInt8(
    content.readUInt8(HEADER_BYTES + 4 * FRAME + 60) ^ 1,
    HEADER_BYTES + 4 * FRAME + 60,
  );
  const { segments } = await recoverSegments(files, '/journal', undefined, 64);
  expect(segments[0]?.extents).toMatchObject([
    { first: 1, end: 5, offset: HEADER_BYTES, endOffset: HEADER_BYTES + 4 * FRAME },
    { first: 6, end: 11, offset: HEADER_BYTES + 5 * FRAME, endOffset: HEADER_BYTES + 10 * FRAME },
  ]);
});

test('a file that turns out shorter than the system said is read to its end', async () => {
  const files = await filled(10);
  const lying: FileSystem = {
    ...files,
    async status(path) {
      const status = await files.status(path);
      return status && { ...status, bytes: status.bytes + 100_000 };
    },
  };
  const journal = await open(lying);
  expect(journal.recovery).toMatchObject({ records: 10, quarantined: [] });
  await journal.close();
});

test('a file that is cut while it is open: what is left is read, the rest is named, and the read ends', async () => {
  const files = await filled(10);
  const journal = await open(files);
  const damaged: unknown[] = [];
  journal.on('quarantined', ({ firstSequence, lastSequence }) =>
    damaged.push([firstSequence, lastSequence]),
  );
  const file = await files.open(`/journal/${FIRST}`, 'write');
  await file.truncate(HEADER_BYTES + 6 * FRAME + 30);
  expect(await sequencesOf(journal)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(damaged).toEqual([[7, 10]]);
  await journal.close();
});

test('a file that is removed while it is open: reading it rejects, and is no loop', async () => {
  const files = await filled(10);
  const journal = await open(files);
  await files.remove(`/journal/${FIRST}`);
  await expect(journal.read(1)).rejects.toMatchObject({
    code: 'JOURNAL_READ_FAILED',
    cause: expect.objectContaining({ code: 'ENOENT' }),
  });
  await journal.close();
});

test('a segment that is released and deleted between being found and opened is passed over', async () => {
  const memory = await filled(40);
  let race: (() => Promise<void>) | undefined;
  const files: FileSystem = {
    ...memory,
    async open(path, mode) {
      const run = race;
      race = undefined;
      await run?.();
      return memory.open(path, mode);
    },
  };
  const journal = await open(files);
  const segments = memory.names().filter((name) => name.endsWith('.journal'));
  expect(segments.length).toBeGreaterThan(1);
  const second = Number.parseInt(segments[1] ?? '', 10);
  race = async () => {
    await journal.release(second - 1);
    await memory.remove(`/journal/${segments[0]}`);
  };
  const [record] = await journal.read(1, { maxRecords: 1 });
  expect(record?.sequence).toBe(second);
  await journal.close();
});

test('bytes in a payload that look like a record of far later do not mislead the search behind damage', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files, { segmentBytes: 65_536 });
  await journal.append(Buffer.from('one'));
  await journal.close();
  const next = await open(files, { segmentBytes: 65_536 });
  await next.append(Buffer.from('two'));
  const names = files.names().filter((name) => name.endsWith('.journal'));
  const active = names.at(-1) ?? '';
  const salt = decodeHeader(files.content(active).subarray(0, HEADER_BYTES))?.salt ?? 0;
  const fake = Buffer.alloc(200);
  const payload = Buffer.alloc(200 - FRAME_BYTES, 'fake');
  encodeFrame(fake, 0, { salt, sequence: 100, batchIndex: 0, payload });
  const damagedAt = HEADER_BYTES;
  await next.append(fake);
  await next.append(Buffer.from('four'));
  await next.close();
  const content = files.content(active);
  // Record 2 and the frame around the bytes that look like a record.
  content.fill(0xff, damagedAt, damagedAt + FRAME_BYTES + 3);
  content.fill(0xff, damagedAt + FRAME_BYTES + 3, damagedAt + 2 * FRAME_BYTES + 3);
  const last = await open(files, { segmentBytes: 65_536 });
  expect(last.recovery.quarantined).toMatchObject([{ firstSequence: 2, lastSequence: 3 }]);
  expect(last.next).toBe(5);
  expect((await last.read(1)).map(({ sequence }) => sequence)).toEqual([1, 4]);
  await last.close();
});
