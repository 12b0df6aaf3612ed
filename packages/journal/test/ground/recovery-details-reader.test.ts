import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type FileSystem, openJournal } from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '../../src/files/memory-file-system.ts';
import { recoverSegments } from '../../src/recovery.ts';
import { RecordReader } from '../../src/segments/record-reader.ts';
import { HEADER_BYTES } from '../../src/segments/segment-format.ts';
import type { Segment } from '../../src/segments/segment.ts';

const DIRECTORY = '/journal';
/** A record of 100 bytes with its frame; 25 of them fill a segment. */
const FRAME = 120;
const PER_SEGMENT = 25;

interface Bench {
  readonly memory: MemoryFileSystem;
  readonly reader: RecordReader;
  readonly segments: Segment[];
  /** The sequences that were found damaged. */
  readonly damaged: number[];
  readonly opened: () => number;
  readonly unclosed: () => number;
  readonly read: (from: number, limits?: Partial<Limits>) => Promise<number[]>;
}

interface Limits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly isAborted: () => boolean;
}

/** A reader of so many records of 100 bytes, and the files that it has open. */
async function open(records: number, segmentBytes = 4_096): Promise<Bench> {
  const memory = createMemoryFileSystem();
  const clock = createFakeClock();
  const journal = await openJournal({ directory: DIRECTORY, files: memory, clock, segmentBytes });
  const payloads = Array.from({ length: records }, () => Buffer.alloc(100, 1));
  while (payloads.length > 0) await journal.appendAll(payloads.splice(0, PER_SEGMENT));
  await journal.close();
  const { segments } = await recoverSegments(memory, DIRECTORY, undefined, 64);
  let opened = 0;
  let closed = 0;
  const files: FileSystem = {
    ...memory,
    async open(path, mode) {
      const file = await memory.open(path, mode);
      opened += 1;
      return {
        ...file,
        async close() {
          closed += 1;
        },
      };
    },
  };
  const damaged: number[] = [];
  const reader = new RecordReader({
    files,
    segments,
    async onDamage(segment, sequence) {
      damaged.push(sequence);
      const { offset, endOffset, end } = segment.extents.at(-1) ?? {
        offset: 0,
        endOffset: 0,
        end: 0,
      };
      const [first = 0] = segment.extents.map((extent) => extent.first).slice(-1);
      const at = offset + (sequence - first) * FRAME;
      segment.extents.splice(
        -1,
        1,
        { first, end: sequence, offset, endOffset: at, points: [] },
        { first: sequence + 1, end, offset: at + FRAME, endOffset, points: [] },
      );
    },
  });
  const anything = { maxRecords: 1_000, maxBytes: 1_000_000, isAborted: () => false };
  return {
    memory,
    reader,
    segments,
    damaged,
    opened: () => opened,
    unclosed: () => opened - closed,
    read: async (from, limits = {}) =>
      (await reader.read(from, { ...anything, ...limits })).map(({ sequence }) => sequence),
  };
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

test('a read crosses segments, keeps one file open, and goes on where it ended', async () => {
  const { reader, read, opened, unclosed } = await open(60);
  expect(await read(20, { maxRecords: 10 })).toEqual(range(20, 29));
  expect([opened(), unclosed()]).toEqual([2, 1]);
  expect(await read(30, { maxRecords: 10 })).toEqual(range(30, 39));
  expect([opened(), unclosed()]).toEqual([2, 1]);
  expect(await read(5, { maxRecords: 1 })).toEqual([5]);
  expect([opened(), unclosed()]).toEqual([3, 1]);
  expect(await read(61)).toEqual([]);
  expect(await read(6, { maxRecords: 1 })).toEqual([6]);
  expect([opened(), unclosed()]).toEqual([3, 1]);
  await reader.close();
  expect(unclosed()).toBe(0);
  expect(await read(1)).toEqual(range(1, 60));
  expect(unclosed()).toBe(0);
});

test('a segment that is gone is closed, so that its space is free, and one that is there is kept', async () => {
  const { reader, read, segments, opened, unclosed } = await open(60);
  await reader.trim();
  expect(await read(1, { maxRecords: 1 })).toEqual([1]);
  await reader.trim();
  expect(unclosed()).toBe(1);
  segments.shift();
  await reader.trim();
  expect(unclosed()).toBe(0);
  expect(await read(1, { maxRecords: 2 })).toEqual(range(PER_SEGMENT + 1, PER_SEGMENT + 2));
  expect([opened(), unclosed()]).toEqual([2, 1]);
});

test.each([
  [1, 1],
  [99, 1],
  [100, 1],
  [199, 1],
  [200, 2],
  [299, 2],
  [300, 3],
])('of records of 100 bytes at most %i bytes are %i, and never none', async (maxBytes, count) => {
  const { read } = await open(10);
  expect(await read(3, { maxBytes })).toEqual(range(3, 2 + count));
  // What did not fit is the first of the next read.
  expect(await read(3 + count, { maxRecords: 1 })).toEqual([3 + count]);
});

test('an abort ends a read with what it has', async () => {
  const { read, unclosed } = await open(10);
  let asked = 0;
  expect(await read(1, { isAborted: () => (asked += 1) > 4 })).toEqual(range(1, 4));
  expect(await read(1, { isAborted: () => true })).toEqual([]);
  expect(unclosed()).toBe(1);
});

test('a read that fails leaves no file open', async () => {
  const { memory, read, unclosed } = await open(60);
  memory.intercept = ({ kind }) => {
    if (kind === 'read') throw errno('EIO');
  };
  await expect(read(1)).rejects.toMatchObject({ code: 'JOURNAL_READ_FAILED' });
  expect(unclosed()).toBe(0);
  memory.intercept = () => undefined;
  expect(await read(1)).toEqual(range(1, 60));
});

test.each([
  [1_000, true],
  [1_001, false],
])('a read passes over %i damaged records: %p', async (damages, passes) => {
  const { memory, read, segments, damaged, unclosed } = await open(damages + 1, 131_072);
  const content = memory.content(segments[0]?.name ?? '');
  for (let record = 0; record < damages; record += 1) {
    content.fill(0xff, HEADER_BYTES + record * FRAME + 40, HEADER_BYTES + record * FRAME + 44);
  }
  const outcome = await read(1).catch(({ code }: { code: string }) => code);
  expect(outcome).toEqual(passes ? [damages + 1] : 'JOURNAL_READ_FAILED');
  expect(damaged).toEqual(range(1, 1_000));
  expect(unclosed()).toBe(passes ? 1 : 0);
});
