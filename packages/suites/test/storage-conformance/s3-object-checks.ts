import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import type { Check } from './run-checks.ts';
import { type S3World, refusalOf, same } from './s3-world.ts';

async function comesBack({ put, read }: S3World, key: string, body = key): Promise<string> {
  await put(key, body);
  return same(await read(key), body);
}

/** Checks of single objects. */
export const s3ObjectChecks: readonly Check<S3World>[] = [
  {
    name: 'an object is returned byte for byte',
    expected: 'ok',
    run: (world) => comesBack(world, 'key', 'bytes\u0000ü'),
  },
  {
    name: 'an empty object can be stored and read',
    expected: 'ok',
    run: (world) => comesBack(world, 'key', ''),
  },
  {
    name: 'dots in a key have no special meaning',
    expected: 'ok',
    async run(world) {
      await world.put('b', 'another');
      return comesBack(world, 'a/../b');
    },
  },
  {
    name: 'a key may climb out of its folder by dots',
    expected: 'ok',
    run: (world) => comesBack(world, '../../up'),
  },
  {
    name: 'a segment of a key may have 300 characters',
    expected: 'ok',
    run: (world) => comesBack(world, `${'x'.repeat(300)}/y`),
  },
  {
    name: 'a key may use any script',
    expected: 'ok',
    run: (world) => comesBack(world, 'ü/☃/😀'),
  },
  {
    name: 'a key may contain characters that are special in a URL',
    expected: 'ok',
    run: (world) => comesBack(world, ' a+b%41&c?d#e '),
  },
  {
    name: 'a key and a folder of the same name can coexist',
    expected: 'ok',
    async run(world) {
      await world.put('a', 'object');
      const below = await comesBack(world, 'a/b');
      return below === 'ok' ? same(await world.read('a'), 'object') : below;
    },
  },
  {
    name: 'a key of more than 1 024 bytes is rejected',
    expected: 'KeyTooLongError 400',
    run: ({ put }) => refusalOf(put('x'.repeat(1_025), 'x')),
  },
  {
    name: 'a streamed body is stored without its framing',
    expected: 'ok',
    async run({ put, read }) {
      const pieces = ['first', 'x'.repeat(70_000), 'last'].map((piece) => Buffer.from(piece));
      const body = Buffer.concat(pieces);
      await put('key', Readable.from(pieces), { ContentLength: body.length });
      return (await read('key')) === body.toString() ? 'ok' : 'other bytes';
    },
  },
  {
    name: 'a body that does not match its CRC32 is rejected',
    expected: 'BadDigest 400',
    run: ({ put }) => refusalOf(put('key', 'x', { ChecksumCRC32: 'AAAAAA==' })),
  },
  {
    name: 'a body that does not match its Content-MD5 is rejected',
    expected: 'BadDigest 400',
    run: ({ put }) =>
      refusalOf(put('key', 'x', { ContentMD5: Buffer.alloc(16).toString('base64') })),
  },
  {
    name: 'an invalid Content-MD5 is rejected',
    expected: 'InvalidDigest 400',
    run: ({ put }) => refusalOf(put('key', 'x', { ContentMD5: 'none' })),
  },
  {
    name: 'a write rejected for its checksum keeps the existing object',
    expected: 'ok',
    async run({ put, read }) {
      await put('key', 'before');
      await refusalOf(put('key', 'after', { ChecksumCRC32: 'AAAAAA==' }));
      return same(await read('key'), 'before');
    },
  },
  {
    name: 'a read returns the checksum',
    expected: 'ok',
    async run({ client, bucket, put }) {
      const { ChecksumSHA256 } = await put('key', 'x', { ChecksumAlgorithm: 'SHA256' });
      const head = new HeadObjectCommand({ Bucket: bucket, Key: 'key', ChecksumMode: 'ENABLED' });
      return same((await client.send(head)).ChecksumSHA256, ChecksumSHA256);
    },
  },
  {
    name: 'a range with both ends returns those bytes',
    expected: '234',
    async run({ put, read }) {
      await put('key', '0123456789');
      return read('key', 'bytes=2-4');
    },
  },
  {
    name: 'a suffix range returns the last bytes',
    expected: '89',
    async run({ put, read }) {
      await put('key', '0123456789');
      return read('key', 'bytes=-2');
    },
  },
  {
    name: 'a range beyond the object is rejected',
    expected: 'InvalidRange 416',
    async run({ put, read }) {
      await put('key', '0123456789');
      return refusalOf(read('key', 'bytes=10-'));
    },
  },
  {
    name: 'reading an absent key reports its absence',
    expected: 'NoSuchKey 404',
    run: ({ read }) => refusalOf(read('none')),
  },
  {
    name: 'a HEAD of an absent key reports its absence without a body',
    expected: 'NotFound 404',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'none' }))),
  },
  {
    name: 'metadata and headers are returned as they were given',
    expected: 'ok',
    async run({ client, bucket, put }) {
      const Metadata = { 'holdfast-op': '17' };
      const headers = { ContentType: 'text/x', CacheControl: 'max-age=60' };
      await put('key', 'x', { ...headers, Metadata });
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'key' }));
      const { ContentType, CacheControl } = head;
      return same({ ContentType, CacheControl, Metadata: head.Metadata }, { ...headers, Metadata });
    },
  },
  {
    name: 'metadata of more than 2 KB are rejected',
    expected: 'MetadataTooLarge 400',
    run: ({ put }) => refusalOf(put('key', 'x', { Metadata: { long: 'x'.repeat(2_100) } })),
  },
  {
    name: 'If-None-Match prevents a write from replacing an object',
    expected: 'PreconditionFailed 412',
    async run({ put }) {
      await put('key', 'x');
      return refusalOf(put('key', 'y', { IfNoneMatch: '*' }));
    },
  },
  {
    name: 'If-Match admits a write that names the current ETag',
    expected: 'ok',
    async run({ put }) {
      const { ETag } = await put('key', 'x');
      return refusalOf(put('key', 'y', { IfMatch: ETag }));
    },
  },
  {
    name: 'If-Match rejects a write that names another ETag',
    expected: 'PreconditionFailed 412',
    async run({ put }) {
      const { ETag } = await put('key', 'x');
      await put('key', 'y');
      return refusalOf(put('key', 'z', { IfMatch: ETag }));
    },
  },
  {
    name: 'If-Match on an absent key is rejected',
    expected: 'NoSuchKey 404',
    run: ({ put }) => refusalOf(put('none', 'x', { IfMatch: '"0"' })),
  },
  {
    name: 'of ten concurrent exclusive creates one succeeds',
    expected: '1 of 10',
    async run({ put }) {
      const creates = Array.from({ length: 10 }, (_, at) =>
        refusalOf(put('lock', String(at), { IfNoneMatch: '*' })),
      );
      const results = await Promise.all(creates);
      return `${results.filter((each) => each === 'ok').length} of ${results.length}`;
    },
  },
  {
    name: 'a conditional read of an unchanged object returns 304',
    expected: '304',
    async run({ client, bucket, put }) {
      const { ETag } = await put('key', 'x');
      const get = new GetObjectCommand({ Bucket: bucket, Key: 'key', IfNoneMatch: ETag });
      return (await refusalOf(client.send(get))).slice(-3);
    },
  },
  {
    name: 'a copy has the bytes and the metadata of its source',
    expected: 'ok',
    async run({ client, bucket, put, read }) {
      await put('a ü', 'bytes', { Metadata: { op: '1' } });
      const CopySource = `${bucket}/${encodeURIComponent('a ü')}`;
      await client.send(new CopyObjectCommand({ Bucket: bucket, Key: 'b', CopySource }));
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'b' }));
      return same([await read('b'), head.Metadata], ['bytes', { op: '1' }]);
    },
  },
  {
    name: 'a copy onto itself that changes nothing is rejected',
    expected: 'InvalidRequest 400',
    async run({ client, bucket, put }) {
      await put('a', 'x');
      const copy = new CopyObjectCommand({ Bucket: bucket, Key: 'a', CopySource: `${bucket}/a` });
      return refusalOf(client.send(copy));
    },
  },
  {
    name: 'deleting an absent key succeeds',
    expected: 'ok',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'none' }))),
  },
  {
    name: 'many keys are deleted by one request',
    expected: 'ok',
    async run({ client, bucket, put, read }) {
      for (const key of ['a', 'b']) await put(key, 'x');
      const Objects = ['a', 'b', 'none'].map((Key) => ({ Key }));
      const { Deleted = [] } = await client.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }),
      );
      const gone = await refusalOf(read('a'));
      return same([new Set(Deleted.map(({ Key }) => Key)).size, gone], [3, 'NoSuchKey 404']);
    },
  },
  {
    name: 'an object can be tagged',
    expected: 'ok',
    async run({ client, bucket, put }) {
      await put('a', 'x');
      const Tagging = { TagSet: [{ Key: 'k', Value: 'v' }] };
      return refusalOf(
        client.send(new PutObjectTaggingCommand({ Bucket: bucket, Key: 'a', Tagging })),
      );
    },
  },
];
