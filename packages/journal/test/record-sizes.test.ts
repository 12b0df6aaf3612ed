import { isDeepStrictEqual } from 'node:util';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, openJournal } from '../src/index.ts';
import { type MemoryFileSystem, createMemoryFileSystem } from '../src/files/memory-file-system.ts';

const clock = createFakeClock();
/** How much of a segment recovery and reads take in at once. */
const WINDOW = 262_144;
const FRAME = 20;
const HEADER = 1_024;
const FIRST = '00000000000000000001.journal';
const SEGMENT_BYTES = 4 * 1_048_576;

function open(files: MemoryFileSystem, segmentBytes = SEGMENT_BYTES): Promise<Journal> {
  return openJournal({ directory: '/journal', files, clock, segmentBytes });
}

/** Payloads that differ in each record, and in each place of one. */
function payloadOf(sequence: number, bytes: number): Buffer {
  return Buffer.alloc(
    bytes,
    Buffer.from(range(0, 250).map((place) => (sequence * 31 + place) & 255)),
  );
}

interface Found {
  readonly sequence: number;
  readonly intact: boolean;
}

/** Every record from `from` on, so many at a time, and whether its bytes are what was appended. */
async function readAll(
  journal: Journal,
  sizes: readonly number[],
  maxRecords: number,
  from = 1,
): Promise<Found[]> {
  const found: Found[] = [];
  let next = from;
  while (true) {
    const records = await journal.read(next, { maxRecords, maxBytes: 8 * WINDOW });
    if (records.length === 0) return found;
    for (const { sequence, payload } of records) {
      const appended = payloadOf(sequence, sizes[sequence - 1] ?? 0);
      found.push({ sequence, intact: appended.equals(payload) });
      next = sequence + 1;
    }
  }
}

async function fill(
  files: MemoryFileSystem,
  sizes: readonly number[],
  { segmentBytes, batch = 1 }: { segmentBytes?: number | undefined; batch?: number } = {},
): Promise<Journal> {
  const journal = await open(files, segmentBytes);
  const payloads = sizes.map((bytes, index) => payloadOf(index + 1, bytes));
  while (payloads.length > 0) await journal.appendAll(payloads.splice(0, batch));
  return journal;
}

interface Story {
  readonly damaged?: readonly number[];
  readonly segmentBytes?: number;
  /** How many records one append has. */
  readonly batch?: number;
}

/**
 * What is not as it has to be: all but the damaged records are read, by the living journal and by the next one, in
 * steps of every length.
 */
async function wrongsOf(
  sizes: readonly number[],
  { damaged = [], segmentBytes, batch = 1 }: Story = {},
): Promise<object[]> {
  const wrongs: object[] = [];
  const compare = (what: string, found: unknown, wanted: unknown): void => {
    if (!isDeepStrictEqual(found, wanted)) wrongs.push({ what, found, wanted });
  };
  const wanted = range(1, sizes.length)
    .filter((sequence) => !damaged.includes(sequence))
    .map((sequence) => ({ sequence, intact: true }));
  const files = createMemoryFileSystem();
  const living = await fill(files, sizes, { segmentBytes, batch });
  if (damaged.length === 0) compare('living', await readAll(living, sizes, 1_000), wanted);
  await living.close();
  for (const sequence of damaged) damage(files, sizes, sequence);
  const journal = await open(files, segmentBytes);
  const reported = journal.recovery.quarantined.flatMap((error) =>
    range(error.firstSequence, error.lastSequence),
  );
  compare('reported', reported, damaged);
  compare('recovered', journal.recovery.records, wanted.length);
  for (const maxRecords of [1, 2, 1_000]) {
    compare(`by ${maxRecords}`, await readAll(journal, sizes, maxRecords), wanted);
  }
  for (const { sequence } of [...wanted.slice(0, 3), ...wanted.slice(-3)]) {
    const rest = wanted.filter((each) => each.sequence >= sequence);
    compare(`from ${sequence}`, await readAll(journal, sizes, 1_000, sequence), rest);
  }
  compare('next', await journal.append(Buffer.from('after')), sizes.length + 1);
  await journal.close();
  return wrongs;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, place) => first + place);
}

/** Flips a byte in the middle of a record of the first segment. */
function damage(files: MemoryFileSystem, sizes: readonly number[], sequence: number): void {
  let offset = HEADER;
  for (const bytes of sizes.slice(0, sequence - 1)) offset += FRAME + bytes;
  const at = offset + FRAME + ((sizes[sequence - 1] ?? 0) >> 1);
  const content = files.content(FIRST);
  content[at] = (content[at] ?? 0) ^ 0xff;
}

const around = [-FRAME - 1, -FRAME, -FRAME + 1, -9, -8, -1, 0, 1, FRAME, FRAME + 1];

test.each(around)(
  'a record that begins %i bytes from the end of the window is read, and those after it',
  async (distance) => {
    const before = WINDOW + distance - FRAME;
    expect(await wrongsOf([before, 100, 0, 3_000, 1])).toEqual([]);
    expect(await wrongsOf([1, before - FRAME - 1, WINDOW, 100, 2 * WINDOW, 5])).toEqual([]);
  },
);

test.each(around)(
  'a record %i bytes larger than the window is read, and those around it',
  async (distance) => {
    const bytes = WINDOW + distance;
    expect(await wrongsOf([bytes, 10, bytes, bytes, 10, 10])).toEqual([]);
    expect(await wrongsOf([bytes - FRAME, 10, bytes - 2 * FRAME, 10])).toEqual([]);
  },
);

test('two thousand records in many windows are all recovered and read', async () => {
  expect(
    await wrongsOf(
      Array.from({ length: 2_000 }, (_, index) => 900 + (index % 200)),
      {
        batch: 100,
      },
    ),
  ).toEqual([]);
});

test.each([-1, 0, 1])(
  'a segment that its records fill to %i bytes of its size loses none of them',
  async (distance) => {
    const segmentBytes = 8_192;
    const room = segmentBytes - HEADER;
    const half = room / 2 - FRAME;
    expect(
      await wrongsOf([half, half + distance, half, half - distance, 7], { segmentBytes }),
    ).toEqual([]);
    expect(
      await wrongsOf([room - FRAME + distance, 1, room - FRAME - distance], { segmentBytes }),
    ).toEqual([]);
    expect(
      await wrongsOf([3 * room + distance, 1, WINDOW + distance, 1], { segmentBytes }),
    ).toEqual([]);
  },
);

/** Where damage is most easily missed: beside records that do not fit a window, and near the end. */
test.each<[where: string, sizes: number[], damaged: number[]]>([
  ['the first record', [50, 50, 50], [1]],
  ['the last but one record', [50, 50, 50, 50], [3]],
  ['the last record', [50, 50, 50, 50], [4]],
  ['the last two records', [50, 50, 50, 50], [3, 4]],
  ['the record before a large one', [50, 50, 3 * WINDOW, 50], [2]],
  ['the record before two large ones', [50, 2 * WINDOW, 2 * WINDOW, 50], [1]],
  ['a large record', [50, 3 * WINDOW, 50, 50], [2]],
  ['a large record before a large one', [50, 2 * WINDOW, 2 * WINDOW, 50], [2]],
  ['a large last record', [50, 50, 3 * WINDOW], [3]],
  ['a large last but one record', [50, 3 * WINDOW, 3 * WINDOW], [2]],
  ['a record that ends with the window', [WINDOW - FRAME, 50, 50], [1]],
  ['a record across two windows', [WINDOW - 50, 100, 50], [2]],
  ['every second record', [50, WINDOW, 50, WINDOW, 50, WINDOW, 50], [2, 4, 6]],
])('damage to %s loses that record alone', async (_, sizes, damaged) => {
  expect(await wrongsOf(sizes, { damaged })).toEqual([]);
});

test('damage in the segment before the last loses one record, whatever comes after', async () => {
  const files = createMemoryFileSystem();
  const sizes = [3_000, 3_000, 3_000, 3_000];
  await (await fill(files, sizes, { segmentBytes: 8_192 })).close();
  damage(files, sizes, 2);
  const journal = await open(files, 8_192);
  expect(journal.recovery.quarantined).toMatchObject([{ firstSequence: 2, lastSequence: 2 }]);
  expect(await readAll(journal, sizes, 10)).toEqual(
    [1, 3, 4].map((sequence) => ({ sequence, intact: true })),
  );
  await journal.close();
});
