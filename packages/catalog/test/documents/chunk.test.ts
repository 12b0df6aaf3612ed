import { crc32 } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { type Bundle, decodeBundle, decodeChunk, encodeChunk } from '../../src/index.ts';
import { bundlesOf } from '../bundles.ts';

/** The same chunk with one byte of its header changed, and a header that is whole nevertheless. */
function withHeaderByte(chunk: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(chunk);
  changed[at] = value;
  changed.writeUInt32LE(crc32(changed.subarray(0, 32)), 32);
  return changed;
}

test.each(['zstd', 'gzip'] as const)('%s: bundles come back as they were', async (codec) => {
  const bundles = bundlesOf(300);
  expect(await decodeChunk(await encodeChunk(bundles, { codec }))).toEqual(bundles);
});

test.each([0, 1, 500])('%i bundles come back', async (count) => {
  const bundles = bundlesOf(count);
  expect(await decodeChunk(await encodeChunk(bundles))).toEqual(bundles);
});

test('hostile strings and fields come back as they were', async () => {
  const [first] = bundlesOf(1);
  const hostile: Bundle = JSON.parse(
    `{"name":"a\\nb\\u2028\\u0000\\ud800","price":0,"duration":1,"dataAmount":-1,"unlimited":true,"countries":[],` +
      `"__proto__":{"polluted":true},"constructor":null,"CATC":"${'CATC'.repeat(50)}"}`,
  );
  const bundles = [hostile, ...(first === undefined ? [] : [first])];
  const read = await decodeChunk(await encodeChunk(bundles));
  expect(JSON.stringify(read)).toBe(JSON.stringify(bundles));
  expect(Reflect.get({}, 'polluted')).toBeUndefined();
});

test('one bundle is read without the others', async () => {
  const bundles = bundlesOf(100);
  const chunk = await encodeChunk(bundles);
  expect(await decodeBundle(chunk, 57)).toEqual(bundles[57]);
  expect(await decodeBundle(chunk, 100)).toBeUndefined();
});

test('a chunk holds no more memory than its bytes', async () => {
  for (const codec of ['zstd', 'gzip'] as const) {
    for (const count of [1, 500]) {
      const chunk = await encodeChunk(bundlesOf(count), { codec });
      expect(chunk.buffer.byteLength).toBe(chunk.length);
    }
  }
});

test.each([
  [{ price: Number.NaN }, 'price'],
  [{ price: Infinity }, 'price'],
  [{ duration: Number.NaN }, 'duration'],
  [{ dataAmount: -Infinity }, 'dataAmount'],
  [{ extra: 1n }, 'a field'],
])('a bundle that JSON would change (%o) is refused by field', async (change, field) => {
  const [bundle] = bundlesOf(1);
  const bundles = bundle === undefined ? [] : [{ ...bundle, ...change }];
  await expect(encodeChunk(bundles)).rejects.toMatchObject({
    code: 'CATALOG_DOCUMENT_INVALID',
    field,
    outcome: 'not-applied',
  });
});

test('bundles that are too much for one chunk are refused in words', async () => {
  const [bundle] = bundlesOf(1);
  const huge = bundle === undefined ? [] : [{ ...bundle, description: 'x'.repeat(68_000_000) }];
  await expect(encodeChunk(huge)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'bundles',
    message: expect.stringMatching(/at most 64 MiB/),
  });
});

test('a chunk of another place or series is refused', async () => {
  const chunk = await encodeChunk(bundlesOf(3), { series: 7, index: 2 });
  expect(await decodeChunk(chunk, { series: 7, index: 2 })).toHaveLength(3);
  await expect(decodeChunk(chunk, { series: 8 })).rejects.toMatchObject({ reason: 'foreign' });
  await expect(decodeChunk(chunk, { index: 3 })).rejects.toMatchObject({ reason: 'foreign' });
});

test('what is wrong with the bytes is told', async () => {
  const chunk = await encodeChunk(bundlesOf(50));
  const flipped = Buffer.from(chunk);
  flipped[200] = (flipped[200] ?? 0) ^ 1;
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(), 'truncated'],
    [chunk.subarray(0, 20), 'truncated'],
    [chunk.subarray(0, -1), 'truncated'],
    [flipped, 'damaged'],
    [Buffer.concat([chunk, Buffer.from([0])]), 'damaged'],
    [withHeaderByte(chunk, 16, 49), 'damaged'],
    [withHeaderByte(chunk, 24, 1), 'damaged'],
    [Buffer.from(JSON.stringify(bundlesOf(3))), 'foreign'],
    [withHeaderByte(chunk, 4, 2), 'newer'],
    [withHeaderByte(chunk, 6, 9), 'newer'],
    [withHeaderByte(chunk, 5, 3), 'newer'],
    [withHeaderByte(chunk, 27, 0x7f), 'too-large'],
  ];
  for (const [bytes, reason] of cases) {
    await expect(decodeChunk(bytes)).rejects.toMatchObject({
      code: 'CATALOG_CHUNK_UNREADABLE',
      reason,
    });
  }
});

test('no more is inflated than the header states', async () => {
  const [bundle] = bundlesOf(1);
  const bomb = { ...bundle, name: 'bomb', fill: 'x'.repeat(8_000_000) };
  for (const codec of ['zstd', 'gzip'] as const) {
    const chunk = await encodeChunk(bundle === undefined ? [] : [{ ...bundle, ...bomb }], {
      codec,
    });
    expect(chunk.length).toBeLessThan(20_000);
    const lying = Buffer.from(chunk);
    lying.writeUInt32LE(1_000, 24);
    lying.writeUInt32LE(crc32(lying.subarray(0, 32)), 32);
    await expect(decodeChunk(lying)).rejects.toMatchObject({ reason: 'damaged' });
  }
});

test('the compressed content has a checksum of its own, also as zstd', async () => {
  const chunk = await encodeChunk(bundlesOf(10), { codec: 'zstd' });
  // RFC 8878: the third bit of the frame header descriptor, behind the magic number.
  expect(chunk.readUInt32LE(36)).toBe(0xfd_2f_b5_28);
  expect(chunk.readUInt8(40) & 4).toBe(4);
});

test('an aborted call rejects with the reason of its signal', async () => {
  const chunk = await encodeChunk(bundlesOf(3));
  const signal = AbortSignal.abort(new Error('stopped'));
  await expect(encodeChunk(bundlesOf(3), { signal })).rejects.toThrow('stopped');
  await expect(decodeChunk(chunk, { signal })).rejects.toThrow('stopped');
});
