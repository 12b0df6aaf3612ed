import { expect, test } from '@jest/globals';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
} from '../../src/files/memory-file-system.ts';
import { type RecoveryResult, recoverSegments } from '../../src/recovery.ts';
import { HEADER_BYTES, encodeFrame, encodeHeader } from '../../src/segments/segment-format.ts';

const DIRECTORY = '/journal';
const ID = '00000000-0000-4000-8000-000000000001';
const OTHER_ID = '00000000-0000-4000-8000-000000000002';
/** A record of 100 bytes with its frame. */
const FRAME = 120;

const nameOf = (first: number): string => `${String(first).padStart(20, '0')}.journal`;
const pathOf = (first: number): string => `${DIRECTORY}/${nameOf(first)}`;

interface SegmentFile {
  readonly first: number;
  readonly records: number;
  readonly id?: string;
  /** The first sequence by its header. */
  readonly headed?: number;
  readonly tail?: Buffer;
}

/** A directory with these segments, each record a batch of its own. */
async function directoryOf(...segments: readonly SegmentFile[]): Promise<MemoryFileSystem> {
  const files = createMemoryFileSystem();
  for (const { first, records, id = ID, headed = first, tail = Buffer.alloc(0) } of segments) {
    const header = encodeHeader({ salt: first, id, first: headed, epoch: 1 });
    const frames = Buffer.alloc(records * FRAME);
    for (let record = 0; record < records; record += 1) {
      const payload = Buffer.alloc(100, 1 + record);
      const frame = { salt: first, sequence: first + record, batchIndex: 0, payload };
      encodeFrame(frames, record * FRAME, frame);
    }
    const file = await files.open(pathOf(first), 'create');
    await file.write(Buffer.concat([header, frames, tail]), 0);
  }
  return files;
}

const two = [
  { first: 1, records: 5 },
  { first: 6, records: 4 },
] as const;

function recover(
  files: MemoryFileSystem,
  checkpoint?: { released: number; next: number },
): Promise<RecoveryResult> {
  const known = checkpoint && { id: ID, ...checkpoint };
  return recoverSegments(files, DIRECTORY, known, 64);
}

/** Damages the payload of a record. */
function damage(files: MemoryFileSystem, first: number, record: number): void {
  files
    .content(nameOf(first))
    .fill(0xff, HEADER_BYTES + record * FRAME + 50, HEADER_BYTES + record * FRAME + 60);
}

const firstsOf = (segments: readonly { first: number }[]): number[] =>
  segments.map(({ first }) => first);

const damagesOf = ({ damages }: RecoveryResult): [string, number, number][] =>
  damages.map(({ file, firstSequence, lastSequence }) => [file, firstSequence, lastSequence]);

test('whole segments without a checkpoint are all there is, and end where the last record ends', async () => {
  const found = await recover(await directoryOf(...two));
  expect(found).toMatchObject({ id: ID, released: 0, next: 10, damages: [], done: [] });
  expect(found.segments).toMatchObject([
    { first: 1, end: 6, name: nameOf(1), path: pathOf(1), salt: 1 },
    { first: 6, end: 10, salt: 6 },
  ]);
  expect(found.newest).toEqual({ path: pathOf(6), cutAt: HEADER_BYTES + 4 * FRAME });
  expect(found.unfinished).toBeUndefined();
});

test('an empty directory has nothing, and without a checkpoint nothing before the oldest segment is missed', async () => {
  expect(await recover(createMemoryFileSystem())).toMatchObject({
    id: undefined,
    released: 0,
    next: 1,
    segments: [],
    newest: undefined,
  });
  const found = await recover(await directoryOf({ first: 6, records: 4 }));
  expect(found).toMatchObject({ released: 5, next: 10, damages: [] });
});

test.each([
  [0, [], [1, 6]],
  [4, [], [1, 6]],
  [5, [1], [6]],
  [8, [1], [6]],
  [9, [1, 6], []],
])('with %i released the segments %j are done and %j are not', async (released, done, open) => {
  const found = await recover(await directoryOf(...two), { released, next: 10 });
  expect([firstsOf(found.done), firstsOf(found.segments)]).toEqual([done, open]);
  expect(found).toMatchObject({ released, next: 10, damages: [] });
});

test('a release mark of records that the disk does not have ends with those that it has', async () => {
  const found = await recover(await directoryOf({ first: 1, records: 5 }), {
    released: 20,
    next: 5,
  });
  expect(found).toMatchObject({ released: 5, next: 6 });
});

test.each([
  [2, [[pathOf(3), 3, 5]]],
  [4, [[pathOf(5), 5, 5]]],
  [5, []],
])('with %i released a missing first segment is reported as %j', async (released, reported) => {
  const files = await directoryOf({ first: 6, records: 4 });
  const found = await recover(files, { released, next: 10 });
  expect(damagesOf(found)).toEqual(reported);
  expect(found.damagedPaths).toEqual([]);
  expect(found.damages.every(({ message }) => message.includes('the file is missing'))).toBe(true);
});

test.each([
  [0, [[pathOf(1), 3, 4]]],
  [2, [[pathOf(1), 3, 4]]],
  [3, [[pathOf(1), 4, 4]]],
  [4, []],
])(
  'with %i released the damage of records 3 and 4 is reported as %j',
  async (released, reported) => {
    const files = await directoryOf(...two);
    damage(files, 1, 2);
    damage(files, 1, 3);
    const found = await recover(files, { released, next: 10 });
    expect(damagesOf(found)).toEqual(reported);
    expect(found.damagedPaths).toEqual(reported.length > 0 ? [pathOf(1)] : []);
    expect(found.newest).toEqual({ path: pathOf(6), cutAt: HEADER_BYTES + 4 * FRAME });
  },
);

test('a damaged newest segment is not to be cut', async () => {
  const files = await directoryOf(...two);
  damage(files, 6, 1);
  const found = await recover(files);
  expect(damagesOf(found)).toEqual([[pathOf(6), 7, 7]]);
  expect(found.newest).toEqual({ path: pathOf(6) });
});

test.each<[string, Partial<SegmentFile>]>([
  ['of another journal', { id: OTHER_ID }],
  ['with the header of another one', { headed: 7 }],
])('a segment %s costs all records up to the next one, and no others', async (_, changed) => {
  const files = await directoryOf({ ...two[0], ...changed }, two[1]);
  const found = await recover(files, { released: 2, next: 10 });
  expect(damagesOf(found)).toEqual([[pathOf(1), 3, 5]]);
  expect(found.damagedPaths).toEqual([pathOf(1)]);
  expect(found.segments).toMatchObject([
    { first: 1, end: 6, extents: [] },
    { first: 6, end: 10 },
  ]);
  expect(found).toMatchObject({ id: ID, next: 10 });
});

test.each([
  ['as many as fit into its bytes', 4, undefined, 30],
  ['as many as the checkpoint knows', 4, { released: 0, next: 40 }, 40],
  ['at least one', 0, undefined, 7],
])(
  'a newest segment without a readable header may have held %s',
  async (_, records, checkpoint, next) => {
    const files = await directoryOf(two[0], { first: 6, records });
    files.content(nameOf(6)).fill(0, 0, HEADER_BYTES);
    const found = await recover(files, checkpoint);
    expect(damagesOf(found)).toEqual([[pathOf(6), 6, next - 1]]);
    expect(found.next).toBe(next);
    expect(found.newest).toBeUndefined();
  },
);

test('records that the checkpoint knows and no segment has are reported, and their sequences stay theirs', async () => {
  const tail = Buffer.alloc(50, 7);
  const files = await directoryOf(two[0], { ...two[1], tail });
  const found = await recover(files, { released: 0, next: 12 });
  expect(damagesOf(found)).toEqual([[pathOf(6), 10, 11]]);
  expect(found.damages[0]?.message).toContain('it ends too soon');
  expect(found.damages[0]?.offset).toBe(HEADER_BYTES + 4 * FRAME);
  expect(found.damagedPaths).toEqual([pathOf(6)]);
  expect(found).toMatchObject({ next: 12, unfinished: { firstSequence: 12, bytes: 50 } });
  expect(found.segments).toMatchObject([{ end: 6 }, { end: 12 }]);
  expect(found.newest).toEqual({ path: pathOf(6) });

  const whole = await recover(await directoryOf(...two), { released: 0, next: 10 });
  expect(whole.damages).toEqual([]);
});

test('without any segment what the checkpoint knows is missing, in a file that does not exist', async () => {
  const found = await recover(createMemoryFileSystem(), { released: 3, next: 6 });
  expect(damagesOf(found)).toEqual([[pathOf(4), 4, 5]]);
  expect(found).toMatchObject({ damagedPaths: [], released: 3, next: 6, segments: [] });
});

test('what follows the last record of the newest segment is an unfinished write, zeros are not', async () => {
  const tail = Buffer.concat([Buffer.alloc(50, 7), Buffer.alloc(500)]);
  const found = await recover(await directoryOf(two[0], { ...two[1], tail }));
  const offset = HEADER_BYTES + 4 * FRAME;
  expect(found.unfinished).toEqual({ path: pathOf(6), offset, bytes: 50, firstSequence: 10 });
  expect(found.newest).toEqual({ path: pathOf(6), cutAt: offset });
  const prepared = await directoryOf(two[0], { ...two[1], tail: Buffer.alloc(500) });
  expect((await recover(prepared)).unfinished).toBeUndefined();
});

test('records of an older segment that the next one repeats belong to the next one', async () => {
  const found = await recover(await directoryOf({ first: 1, records: 7 }, two[1]));
  expect(found).toMatchObject({ next: 10, damages: [], unfinished: undefined });
  expect(found.segments[0]?.extents).toMatchObject([{ first: 1, end: 6 }]);
});

test('a segment without a record is not kept, and the next record is the one after those before it', async () => {
  const found = await recover(await directoryOf(two[0], { first: 6, records: 0 }));
  expect([firstsOf(found.segments), firstsOf(found.done), found.next]).toEqual([[1], [], 6]);
  expect(found.newest).toEqual({ path: pathOf(6), cutAt: HEADER_BYTES });
});
