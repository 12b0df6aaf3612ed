import { expect, test } from '@jest/globals';
import { type Random, derivedSeed, environment, seededRandom } from '@holdfast/foundation';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { type Bundle, decodeChunk, encodeChunk } from '../../src/index.ts';
import { bundlesOf, openFixture, putFile } from '../bundles.ts';

/** `HOLDFAST_RUNS=10000` damages as often as the published statement; half chunks, half backups. */
const RUNS = Number(environment['HOLDFAST_RUNS'] ?? 1_000);
const ROWS = 512;

const whole = (random: Random, below: number): number => Math.floor(random() * below);

function flipBit(bytes: Buffer, random: Random): Buffer {
  const at = whole(random, bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << whole(random, 8));
  return bytes;
}

const damages: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  flipBit,
  (bytes, random) => flipBit(flipBit(flipBit(bytes, random), random), random),
  (bytes, random) => bytes.subarray(0, whole(random, bytes.length)),
  // Near its end, where formats by lines and by numbers end well.
  (bytes, random) => bytes.subarray(0, bytes.length - 1 - whole(random, 40)),
  (bytes, random) => {
    const at = whole(random, bytes.length);
    return bytes.fill(0, at, Math.min(bytes.length, at + 1 + whole(random, 4_096)));
  },
  (bytes, random) => {
    const at = whole(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + whole(random, 64))]);
  },
  (bytes, random) => flipBit(bytes.subarray(0, 1 + whole(random, bytes.length)), random),
];

function damaged(bytes: Buffer, seed: number): Buffer {
  const damage = damages[seed % damages.length] ?? flipBit;
  return damage(Buffer.from(bytes), seededRandom(derivedSeed(seed, 1)));
}

const runs = (count: number): number[] => Array.from({ length: count }, (_, seed) => seed);

test('of damaged chunks none is served', async () => {
  const chunks = [
    await encodeChunk(bundlesOf(100), { codec: 'zstd' }),
    await encodeChunk(bundlesOf(100), { codec: 'gzip' }),
  ];
  const served: number[] = [];
  for (const seed of runs(RUNS / 2)) {
    const chunk = chunks[seed % 2] ?? Buffer.alloc(0);
    const bytes = damaged(chunk, seed);
    // Zeros over zeros change nothing.
    if (bytes.equals(chunk)) continue;
    const code: unknown = await decodeChunk(bytes).then(
      () => 'served',
      (error: { code?: unknown }) => error.code,
    );
    if (code !== 'CATALOG_CHUNK_UNREADABLE') served.push(seed);
  }
  expect(served).toEqual([]);
});

/** The frames of a backup with the rows of each. */
async function wholeBackup(): Promise<{
  content: Buffer;
  frames: { bytes: Buffer; rows: number }[];
}> {
  const { files, write } = openFixture();
  await write(ROWS, 2);
  const content = Buffer.from(files.content('catalog-1-2.backup'));
  const footer: { frames: [number, number, number][] } = JSON.parse(
    content.subarray(content.indexOf('{"version"'), -16).toString(),
  );
  const frames = footer.frames.map(([offset, bytes, rows]) => ({
    bytes: content.subarray(offset, offset + bytes),
    rows,
  }));
  return { content, frames };
}

test('of damaged backups none is served, and what is undamaged is salvaged', async () => {
  const { content, frames } = await wholeBackup();
  const older = openFixture();
  await older.write(ROWS, 1);
  const before = Buffer.from(older.files.content('catalog-1-1.backup'));
  const textByName = new Map(
    bundlesOf(ROWS, 2).map((bundle) => [bundle.name, JSON.stringify(bundle)]),
  );
  const served: number[] = [];
  let [undamagedRows, salvagedRows] = [0, 0];
  for (const seed of runs(RUNS / 2)) {
    const bytes = damaged(content, seed);
    if (bytes.equals(content)) continue;
    const files = createMemoryFileSystem();
    await putFile(files, 'catalog-1-1.backup', before);
    await putFile(files, 'catalog-1-2.backup', bytes);
    const { backup } = openFixture({}, files);
    const reader = await backup.open();
    if (reader.manifest.generation !== 1 || reader.skipped.length !== 1) served.push(seed);
    await reader.close();
    const seen = new Set<string>();
    const judge = (bundle: Bundle): void => {
      const isAsWritten = textByName.get(bundle.name) === JSON.stringify(bundle);
      if (!isAsWritten || seen.has(bundle.name)) served.push(seed);
      seen.add(bundle.name);
    };
    for await (const frame of await backup.salvage()) for (const bundle of frame) judge(bundle);
    salvagedRows += seen.size;
    for (const frame of frames) if (bytes.includes(frame.bytes)) undamagedRows += frame.rows;
  }
  expect(served).toEqual([]);
  expect(undamagedRows).toBeGreaterThan(0);
  expect(salvagedRows / undamagedRows).toBeGreaterThanOrEqual(0.99);
});
