import { Readable } from 'node:stream';
import {
  type ChecksumAlgorithm,
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { s3Error, withS3 } from './s3-client.ts';

const Bucket = 'bucket';

async function read(client: S3Client, Key: string, Range?: string): Promise<string | undefined> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, Range }));
  return Body?.transformToString();
}

test('every key is stored unchanged, whatever it would mean to a file system', async () => {
  await withS3({}, async ({ client }) => {
    const keys = [
      '../up',
      'a/../b',
      './here',
      'a//b',
      '/lead',
      'trail/',
      ' spaced ',
      'a+b%41&?#',
      'ü/☃/😀',
      'line\nfeed',
      'x'.repeat(300),
      `${'y'.repeat(1_000)}/z`,
      'CON',
    ];
    for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    for (const Key of keys) expect(await read(client, Key)).toBe(Key);
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(new Set(Contents.map((object) => object.Key))).toEqual(new Set(keys));
  });
});

test('random keys are stored unchanged', async () => {
  await withS3({}, async ({ client }) => {
    const keys = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(keys, async (Key) => {
        await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
        expect(await read(client, Key)).toBe(Key);
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});

test('a key of more than 1 024 bytes is rejected', async () => {
  await withS3({}, async ({ client }) => {
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'ü'.repeat(513), Body: 'x' }));
    await expect(put).rejects.toEqual(s3Error('KeyTooLongError', 400));
  });
});

test.each<Exclude<ChecksumAlgorithm, 'CRC64NVME' | `XX${string}`>>([
  'CRC32',
  'CRC32C',
  'SHA1',
  'SHA256',
])(
  'a streamed body is stored without its framing, and its %s is verified and returned',
  async (ChecksumAlgorithm) => {
    await withS3({}, async ({ client }) => {
      const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
      const pieces = [bytes.subarray(0, 10), bytes.subarray(10, 70_000), bytes.subarray(70_000)];
      const ContentLength = bytes.length;
      const Body = Readable.from(pieces);
      const put = await client.send(
        new PutObjectCommand({ Bucket, Key: 'key', Body, ContentLength, ChecksumAlgorithm }),
      );
      const get = new GetObjectCommand({ Bucket, Key: 'key', ChecksumMode: 'ENABLED' });
      const got = await client.send(get);
      const field = `Checksum${ChecksumAlgorithm}` as const;
      expect(put[field]).toMatch(/^[\w+/]+=*$/);
      expect(got[field]).toBe(put[field]);
      expect(bytes.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
    });
  },
);

test.each([
  [{ ChecksumCRC32: 'AAAAAA==' }, 'BadDigest'],
  [{ ChecksumSHA256: Buffer.alloc(32).toString('base64') }, 'BadDigest'],
  [{ ContentMD5: Buffer.alloc(16).toString('base64') }, 'BadDigest'],
  [{ ContentMD5: 'not a digest' }, 'InvalidDigest'],
])('with the wrong digest %j nothing is stored', async (digest, reason) => {
  await withS3({}, async ({ client, server }) => {
    const put = new PutObjectCommand({ Bucket, Key: 'key', Body: 'bytes', ...digest });
    await expect(client.send(put)).rejects.toEqual(s3Error(reason, 400));
    await expect(read(client, 'key')).rejects.toEqual(s3Error('NoSuchKey', 404));
    expect(server.getStats().storedBytes).toBe(0);
  });
});

test.each([
  ['bytes=0-0', '0'],
  ['bytes=3-5', '345'],
  ['bytes=7-', '789'],
  ['bytes=-2', '89'],
  ['bytes=8-99', '89'],
  ['bytes=0-1,3-4', '0123456789'],
])('the range %s of ten digits is %s', async (range, expected) => {
  await withS3({}, async ({ client }) => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'digits', Body: '0123456789' }));
    expect(await read(client, 'digits', range)).toBe(expected);
    await expect(read(client, 'digits', 'bytes=10-')).rejects.toEqual(s3Error('InvalidRange', 416));
  });
});

test('reads return the metadata of the write', async () => {
  await withS3({}, async ({ client }) => {
    const metadata = {
      ContentType: 'text/x-test',
      CacheControl: 'max-age=60',
      ContentDisposition: 'attachment',
      ContentEncoding: 'identity',
      Metadata: { op: '17', 'with-dash': 'a  b' },
    };
    await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x', ...metadata }));
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'key' }));
    expect(head).toMatchObject({ ...metadata, ContentLength: 1 });
    const Metadata = { long: 'x'.repeat(2_048) };
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'y', Metadata }));
    await expect(put).rejects.toEqual(s3Error('MetadataTooLarge', 400));
  });
});

test('a conditional write replaces only the object that it names', async () => {
  await withS3({}, async ({ client }) => {
    const put = (more: object): Promise<PutObjectCommandOutput> =>
      client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x', ...more }));
    await expect(put({ IfMatch: '"0"' })).rejects.toEqual(s3Error('NoSuchKey', 404));
    const { ETag } = await put({ IfNoneMatch: '*' });
    await expect(put({ IfNoneMatch: '*' })).rejects.toEqual(s3Error('PreconditionFailed', 412));
    await expect(put({ IfMatch: '"0"' })).rejects.toEqual(s3Error('PreconditionFailed', 412));
    await put({ IfMatch: ETag });
  });
});

test('of twenty concurrent exclusive creates exactly one succeeds', async () => {
  await withS3({}, async ({ client }) => {
    const creates = Array.from({ length: 20 }, (_, at) =>
      client.send(
        new PutObjectCommand({ Bucket, Key: 'lock', Body: String(at), IfNoneMatch: '*' }),
      ),
    );
    const settled = await Promise.allSettled(creates);
    const winners = settled.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []));
    expect(winners).toHaveLength(1);
    expect(await read(client, 'lock')).toBe(String(winners[0]));
    for (const each of settled) {
      if (each.status === 'fulfilled') continue;
      expect(['ConditionalRequestConflict', 'PreconditionFailed']).toContain(each.reason.name);
    }
  });
});

test('a conditional read depends on whether the object changed', async () => {
  await withS3({}, async ({ client }) => {
    const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }));
    const get = (more: object): Promise<unknown> =>
      client.send(new GetObjectCommand({ Bucket, Key: 'key', ...more }));
    await get({ IfMatch: ETag });
    await expect(get({ IfMatch: '"0"' })).rejects.toEqual(s3Error('PreconditionFailed', 412));
    await expect(get({ IfNoneMatch: ETag })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 304 },
    });
  });
});

test('a copy has the bytes of its source, and its metadata unless it is replaced', async () => {
  await withS3({}, async ({ client }) => {
    const Metadata = { op: '1' };
    await client.send(new PutObjectCommand({ Bucket, Key: 'a ü', Body: 'bytes', Metadata }));
    const CopySource = `/bucket/${encodeURIComponent('a ü')}`;
    await client.send(new CopyObjectCommand({ Bucket, Key: 'b', CopySource }));
    await client.send(
      new CopyObjectCommand({ Bucket, Key: 'c', CopySource, MetadataDirective: 'REPLACE' }),
    );
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a ü' }));
    expect(await read(client, 'b')).toBe('bytes');
    expect(await client.send(new HeadObjectCommand({ Bucket, Key: 'b' }))).toMatchObject({
      Metadata,
    });
    expect(await client.send(new HeadObjectCommand({ Bucket, Key: 'c' }))).toMatchObject({
      Metadata: {},
    });
    const self = new CopyObjectCommand({ Bucket, Key: 'b', CopySource: 'bucket/b' });
    await expect(client.send(self)).rejects.toEqual(s3Error('InvalidRequest', 400));
    const absent = new CopyObjectCommand({ Bucket, Key: 'd', CopySource: 'bucket/none' });
    await expect(client.send(absent)).rejects.toEqual(s3Error('NoSuchKey', 404));
  });
});

test('deleting a missing object succeeds', async () => {
  await withS3({}, async ({ client, server }) => {
    for (const Key of ['a', 'b', 'c']) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    }
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    const { Deleted = [] } = await client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: { Objects: [{ Key: 'b' }, { Key: 'c' }, { Key: 'none' }] },
      }),
    );
    expect(Deleted.map(({ Key }) => Key)).toEqual(['b', 'c', 'none']);
    expect(server.getStats()).toMatchObject({ objects: 0, storedBytes: 0 });
  });
});

test('an object that is overwritten or deleted during a read is read to its end', async () => {
  await withS3({}, async ({ client }) => {
    const before = 'b'.repeat(3_000_000);
    await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: before }));
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'key' }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'after' }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'key' }));
    expect(await Body?.transformToString()).toBe(before);
  });
});
