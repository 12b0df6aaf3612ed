import { expect, test } from '@jest/globals';
import {
  type FileSystemCall,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '../../src/files/memory-file-system.ts';
import type { Batch } from '../../src/segments/batch.ts';
import { SegmentAllocator } from '../../src/segments/segment-allocator.ts';
import { FRAME_BYTES, HEADER_BYTES } from '../../src/segments/segment-format.ts';
import { SegmentLog } from '../../src/segments/segment-log.ts';
import { type Segment, recordsFrom } from '../../src/segments/segment.ts';

const DIRECTORY = '/journal';
const SEGMENT_BYTES = 4_096;
const ROOM = SEGMENT_BYTES - HEADER_BYTES;
/** A record of 100 bytes with its frame. */
const FRAME = 120;

interface Bench {
  readonly log: SegmentLog;
  readonly files: MemoryFileSystem;
  readonly failed: string[];
}

async function open(syncsBatches = true, files = createMemoryFileSystem()): Promise<Bench> {
  const failed: string[] = [];
  const id = '00000000-0000-4000-8000-000000000001';
  const shared = { files, directory: DIRECTORY, segmentBytes: SEGMENT_BYTES };
  const log = new SegmentLog({
    ...shared,
    allocator: new SegmentAllocator({ ...shared, id, epoch: 1 }),
    recovered: { segments: [], done: [], released: 0, next: 1 },
    syncsBatches,
    onSegmentFailed: (segment, cause) => failed.push(`${segment.first} ${String(cause)}`),
  });
  return { log, files, failed };
}

/** Records that take so many bytes each, frames included. */
function batchOf(...sizes: readonly number[]): Batch {
  const payloads = sizes.map((size) => Buffer.alloc(size - FRAME_BYTES, 7));
  return { payloads, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Commits so many batches of one record of 100 bytes. */
async function fill({ log }: Bench, records: number): Promise<void> {
  for (let record = 0; record < records; record += 1) await log.commit(batchOf(FRAME));
}

const nameOf = (first: number): string => `${String(first).padStart(20, '0')}.journal`;

const journalsIn = (files: MemoryFileSystem): number[] =>
  files
    .names()
    .filter((name) => name.endsWith('.journal'))
    .map((name) => Number.parseInt(name, 10));

const rangesOf = (segments: readonly Segment[]): [number, number][] =>
  segments.map(({ first, end }) => [first, end]);

test('a batch that just fits goes into the segment, one byte more begins the next one', async () => {
  const { log } = await open();
  expect(log.capacity(100)).toBe(ROOM);
  expect(await log.commit(batchOf(1_000, 1_000))).toBe(1);
  expect([log.capacity(ROOM - 2_000), log.capacity(ROOM - 1_999)]).toEqual([ROOM - 2_000, ROOM]);
  expect(await log.commit(batchOf(ROOM - 2_000))).toBe(3);
  expect(rangesOf(log.segments)).toEqual([[1, 4]]);
  expect(await log.commit(batchOf(21))).toBe(4);
  expect(rangesOf(log.segments)).toEqual([
    [1, 4],
    [4, 5],
  ]);
  expect([log.commits, log.next]).toEqual([3, 5]);
});

test('a batch larger than a segment has one of its own', async () => {
  const { log, files } = await open();
  for (const size of [100, 3 * SEGMENT_BYTES, 100]) await log.commit(batchOf(size));
  expect(journalsIn(files)).toEqual([1, 2, 3]);
});

test('what is held follows each commit and each release, and nothing is released twice', async () => {
  const bench = await open();
  const { log } = bench;
  await fill(bench, 5);
  expect([log.heldRecords, log.heldBytes]).toEqual([5, 5 * FRAME]);
  log.release(2);
  expect([log.first, log.heldRecords, log.heldBytes]).toEqual([3, 3, 3 * FRAME]);
  log.release(1);
  log.release(2);
  expect([log.first, log.heldRecords, log.heldBytes]).toEqual([3, 3, 3 * FRAME]);
  await fill(bench, 30);
  expect([log.heldRecords, log.heldBytes]).toEqual([33, 33 * FRAME]);
  log.release(35);
  expect([log.first, log.heldRecords, log.heldBytes]).toEqual([36, 0, 0]);
  await fill(bench, 1);
  expect([log.heldRecords, log.heldBytes]).toEqual([1, FRAME]);
});

test('a segment goes when its last record is released and the mark is durable, the active one stays', async () => {
  const bench = await open();
  const { log, files } = bench;
  await fill(bench, 60);
  const [first, second, third] = rangesOf(log.segments);
  if (first === undefined || second === undefined || third === undefined) throw new Error('few');
  const last = first[1] - 1;
  log.release(last - 1);
  expect(log.segments).toHaveLength(3);
  log.release(last);
  expect(rangesOf(log.segments)).toEqual([second, third]);
  let synced = 0;
  files.intercept = ({ kind }) => {
    if (kind === 'sync-directory') synced += 1;
  };
  await log.purge(last - 1);
  expect([journalsIn(files), synced]).toEqual([[first[0], second[0], third[0]], 0]);
  await log.purge(last);
  expect([journalsIn(files), synced]).toEqual([[second[0], third[0]], 1]);
  await log.purge(60);
  expect(synced).toBe(1);
  log.release(60);
  expect(rangesOf(log.segments)).toEqual([third]);
  await log.purge(60);
  expect(journalsIn(files)).toEqual([third[0]]);
});

test('each batch is on the disk when it is committed, or with `os` when its segment is full or closed', async () => {
  const commits = await open(true);
  await fill(commits, 2);
  expect([commits.log.synced, commits.log.syncs]).toEqual([3, 2]);

  const bench = await open(false);
  await fill(bench, 25);
  expect([bench.log.synced, bench.log.syncs]).toEqual([1, 0]);
  await fill(bench, 1);
  expect([bench.log.synced, bench.log.next]).toEqual([26, 27]);
  await bench.log.close(true);
  expect(bench.log.synced).toBe(27);
});

test('a full segment that cannot be synced is told, and no append fails for it', async () => {
  const bench = await open(false);
  await fill(bench, 25);
  bench.files.intercept = ({ kind, name }) => {
    if (kind === 'sync' && name === 'spare.1' && bench.log.segments.length === 1) {
      bench.files.intercept = () => undefined;
      throw errno('EIO');
    }
  };
  await fill(bench, 1);
  expect(bench.failed).toEqual(['1 Error: injected EIO']);
  expect([bench.log.failedSegments, bench.log.synced, bench.log.next]).toEqual([1, 1, 27]);
});

test('closing cuts a segment behind its last record; one that another process owns is left as it is', async () => {
  for (const owned of [true, false]) {
    const bench = await open();
    await fill(bench, 2);
    const before = bench.files.content(nameOf(1)).length;
    await bench.log.close(owned);
    const after = bench.files.content(nameOf(1)).length;
    expect([before, after]).toEqual([SEGMENT_BYTES, owned ? HEADER_BYTES + 2 * FRAME : before]);
    expect(bench.log.activePath).toBeUndefined();
    expect(bench.files.names()).toEqual([nameOf(1)]);
  }
});

/** Lets the next so many writes of records fail. */
function failWrites(files: MemoryFileSystem, code: string, times: number): void {
  let left = times;
  files.intercept = ({ kind, bytes }: FileSystemCall) => {
    if (kind !== 'write' || bytes !== FRAME || left === 0) return;
    left -= 1;
    throw errno(code);
  };
}

test('a write that fails is repeated in a new segment, and the one without a record is forgotten', async () => {
  const bench = await open();
  await fill(bench, 2);
  failWrites(bench.files, 'EIO', 1);
  expect(await bench.log.commit(batchOf(FRAME))).toBe(3);
  expect(rangesOf(bench.log.segments)).toEqual([
    [1, 3],
    [3, 4],
  ]);
  expect([bench.log.failedSegments, bench.failed]).toEqual([1, ['1 Error: injected EIO']]);
  expect(bench.log.segments.map((segment) => recordsFrom(segment, 1))).toEqual([2, 1]);

  const fresh = await open();
  failWrites(fresh.files, 'EIO', 1);
  expect(await fresh.log.commit(batchOf(FRAME))).toBe(1);
  expect(rangesOf(fresh.log.segments)).toEqual([[1, 2]]);
});

test('a batch that a new segment does not take either has an unknown outcome and takes no sequence', async () => {
  const bench = await open();
  await fill(bench, 2);
  failWrites(bench.files, 'EIO', 2);
  await expect(bench.log.commit(batchOf(FRAME))).rejects.toMatchObject({
    code: 'JOURNAL_WRITE_FAILED',
    outcome: 'unknown',
    message: expect.stringContaining('and so did a new segment'),
  });
  expect([bench.log.next, bench.log.failedSegments, bench.log.commits]).toEqual([3, 2, 2]);
  expect(rangesOf(bench.log.segments)).toEqual([[1, 3]]);
  expect(await bench.log.commit(batchOf(FRAME))).toBe(3);
});

test('a segment that cannot be made applies nothing, and the next append tries again', async () => {
  const bench = await open();
  await fill(bench, 25);
  bench.files.intercept = ({ kind }) => {
    if (kind === 'rename') throw errno('EACCES');
  };
  await expect(bench.log.commit(batchOf(FRAME))).rejects.toMatchObject({
    code: 'JOURNAL_WRITE_FAILED',
    outcome: 'not-applied',
    message: expect.not.stringContaining('and so did a new segment'),
  });
  bench.files.intercept = () => undefined;
  expect(await bench.log.commit(batchOf(FRAME))).toBe(26);
  expect([bench.log.failedSegments, rangesOf(bench.log.segments).length]).toEqual([0, 2]);
});

test('a full disk takes nothing and costs no segment; the space of the next one is given up first', async () => {
  const bench = await open();
  await fill(bench, 2);
  // The next segment is prepared by now, or being prepared.
  failWrites(bench.files, 'ENOSPC', 1);
  expect(await bench.log.commit(batchOf(FRAME))).toBe(3);
  expect(bench.files.names()).toEqual([nameOf(1)]);
  failWrites(bench.files, 'ENOSPC', 2);
  await expect(bench.log.commit(batchOf(FRAME))).rejects.toMatchObject({
    code: 'JOURNAL_FULL',
    limit: 'disk',
    current: 3 * FRAME,
    outcome: 'not-applied',
  });
  bench.files.intercept = () => undefined;
  expect(await bench.log.commit(batchOf(FRAME))).toBe(4);
  expect(rangesOf(bench.log.segments)).toEqual([[1, 5]]);
  expect([bench.log.failedSegments, bench.failed]).toEqual([0, []]);
});
