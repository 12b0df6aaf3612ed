import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketPolicyCommand,
  GetBucketVersioningCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  UploadPartCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { systemClock } from '@holdfast/foundation';
import type { Check } from './run-checks.ts';
import { type S3World, refusalOf, same } from './s3-world.ts';

const PART_BYTES = 5_242_880;

async function begin({ client, bucket }: S3World): Promise<string> {
  const create = new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'large' });
  return (await client.send(create)).UploadId ?? '';
}

async function part(
  { client, bucket }: S3World,
  UploadId: string,
  PartNumber: number,
  Body: Buffer | string,
): Promise<CompletedPart> {
  const { ETag, ChecksumCRC32 } = await client.send(
    new UploadPartCommand({ Bucket: bucket, Key: 'large', UploadId, PartNumber, Body }),
  );
  return { PartNumber, ETag, ChecksumCRC32 };
}

function complete(
  { client, bucket }: S3World,
  UploadId: string,
  Parts: CompletedPart[],
): Promise<{ ETag?: string | undefined }> {
  const MultipartUpload = { Parts };
  return client.send(
    new CompleteMultipartUploadCommand({ Bucket: bucket, Key: 'large', UploadId, MultipartUpload }),
  );
}

function setPolicy({ client, bucket }: S3World, Effect: string, Action: string): Promise<unknown> {
  const Resource = `arn:aws:s3:::${bucket}/*`;
  const Statement = [{ Effect, Principal: '*', Action, Resource }];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  return client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
}

/** Checks of buckets, listings, large objects and permissions. */
export const s3BucketChecks: readonly Check<S3World>[] = [
  {
    name: 'an absent bucket is reported by its code',
    expected: 'NoSuchBucket 404',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new ListObjectsV2Command({ Bucket: `${bucket}-none` }))),
  },
  {
    name: 'creating an existing bucket is rejected',
    expected: 'BucketAlreadyOwnedByYou 409',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new CreateBucketCommand({ Bucket: bucket }))),
  },
  {
    name: 'a bucket that holds an object is not removed',
    expected: 'BucketNotEmpty 409',
    async run({ client, bucket, put }) {
      await put('key', 'x');
      return refusalOf(client.send(new DeleteBucketCommand({ Bucket: bucket })));
    },
  },
  {
    name: 'an invalid bucket name is rejected',
    expected: 'InvalidBucketName 400',
    run: ({ client }) => refusalOf(client.send(new CreateBucketCommand({ Bucket: 'a..b' }))),
  },
  {
    name: 'a listing groups folders by the delimiter',
    expected: 'ok',
    async run({ client, bucket, put }) {
      for (const key of ['a', 'b/1', 'b/2', 'c/d/e']) await put(key, 'x');
      const { Contents = [], CommonPrefixes = [] } = await client.send(
        new ListObjectsV2Command({ Bucket: bucket, Delimiter: '/' }),
      );
      const found = [Contents.map(({ Key }) => Key), CommonPrefixes.map(({ Prefix }) => Prefix)];
      return same(found, [['a'], ['b/', 'c/']]);
    },
  },
  {
    name: 'a listing is paged in byte order',
    expected: 'ok',
    async run({ client, bucket, put }) {
      const keys = ['A', 'a', 'a b', 'a/b', 'ü', '\uffee', '😀'];
      for (const key of keys.toReversed()) await put(key, 'x');
      const found: unknown[] = [];
      for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket: bucket })) {
        found.push(...(page.Contents ?? []).map(({ Key }) => Key));
      }
      return same(found, keys);
    },
  },
  {
    name: 'a listing can start at a prefix and after a key',
    expected: 'ok',
    async run({ client, bucket, put }) {
      for (const key of ['a/1', 'a/2', 'b']) await put(key, 'x');
      const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: 'a/', StartAfter: 'a/1' });
      const { Contents = [] } = await client.send(list);
      return same(
        Contents.map(({ Key, Size }) => [Key, Size]),
        [['a/2', 1]],
      );
    },
  },
  {
    name: 'a multipart upload becomes one object with a composite ETag',
    expected: 'ok',
    async run(world) {
      const id = await begin(world);
      const last = await part(world, id, 2, 'end');
      const first = await part(world, id, 1, Buffer.alloc(PART_BYTES, 'x'));
      const { ETag = '' } = await complete(world, id, [first, last]);
      const edge = await world.read('large', `bytes=${PART_BYTES - 1}-${PART_BYTES + 2}`);
      return same([edge, /^"[0-9a-f]{32}-2"$/.test(ETag)], ['xend', true]);
    },
  },
  {
    name: 'a part that is too small, and not the last, is rejected',
    expected: 'EntityTooSmall 400',
    async run(world) {
      const id = await begin(world);
      const parts = [await part(world, id, 1, 'small'), await part(world, id, 2, 'end')];
      return refusalOf(complete(world, id, parts));
    },
  },
  {
    name: 'an absent part is rejected',
    expected: 'InvalidPart 400',
    async run(world) {
      const id = await begin(world);
      const { ETag } = await part(world, id, 1, 'x');
      return refusalOf(complete(world, id, [{ PartNumber: 2, ETag }]));
    },
  },
  {
    name: 'parts out of order are rejected',
    expected: 'InvalidPartOrder 400',
    async run(world) {
      const id = await begin(world);
      const parts = [await part(world, id, 1, 'x'), await part(world, id, 2, 'y')];
      return refusalOf(complete(world, id, parts.toReversed()));
    },
  },
  {
    name: 'the parts of an upload can be listed to resume it',
    expected: 'ok',
    async run(world) {
      const { client, bucket } = world;
      const UploadId = await begin(world);
      for (const number of [1, 3]) await part(world, UploadId, number, 'x'.repeat(number));
      const { Parts = [] } = await client.send(
        new ListPartsCommand({ Bucket: bucket, Key: 'large', UploadId }),
      );
      return same(
        Parts.map(({ PartNumber, Size }) => [PartNumber, Size]),
        [
          [1, 1],
          [3, 3],
        ],
      );
    },
  },
  {
    name: 'an aborted upload accepts no parts',
    expected: 'NoSuchUpload 404',
    async run(world) {
      const { client, bucket } = world;
      const UploadId = await begin(world);
      await client.send(
        new AbortMultipartUploadCommand({ Bucket: bucket, Key: 'large', UploadId }),
      );
      return refusalOf(part(world, UploadId, 1, 'x'));
    },
  },
  {
    name: 'an incomplete upload creates no object',
    expected: 'NotFound 404',
    async run(world) {
      const { client, bucket } = world;
      await part(world, await begin(world), 1, 'x');
      return refusalOf(client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'large' })));
    },
  },
  {
    name: 'a wrong secret is reported by its code',
    expected: 'SignatureDoesNotMatch 403',
    run({ connect, credentials, bucket }) {
      const { accessKeyId } = credentials;
      const client = connect({ credentials: { accessKeyId, secretAccessKey: 'wrong-secret' } });
      return refusalOf(client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x' })));
    },
  },
  {
    name: 'an unknown access key is reported by its code',
    expected: 'InvalidAccessKeyId 403',
    run({ connect, bucket }) {
      const credentials = { accessKeyId: 'nobody', secretAccessKey: 'secret' };
      const client = connect({ credentials });
      return refusalOf(client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x' })));
    },
  },
  {
    name: 'a clock that is an hour off is reported by its code',
    expected: 'RequestTimeTooSkewed 403',
    run({ connect, bucket }) {
      const client = connect({ systemClockOffset: -3_600_000 });
      return refusalOf(client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x' })));
    },
  },
  {
    name: 'the rejection of a skewed clock carries the time of the server',
    expected: 'ok',
    async run({ connect, bucket }) {
      const client = connect({ systemClockOffset: -3_600_000 });
      const put = new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x' });
      await refusalOf(client.send(put));
      return refusalOf(client.send(put));
    },
  },
  {
    name: 'a policy that denies writes applies to the owner',
    expected: 'AccessDenied 403',
    async run(world) {
      await setPolicy(world, 'Deny', 's3:PutObject');
      return refusalOf(world.put('key', 'x'));
    },
  },
  {
    name: 'writes succeed again once the policy that denied them is removed',
    expected: 'ok',
    async run(world) {
      await setPolicy(world, 'Deny', 's3:PutObject');
      await refusalOf(world.put('key', 'x'));
      await world.client.send(new DeleteBucketPolicyCommand({ Bucket: world.bucket }));
      return refusalOf(world.put('key', 'x'));
    },
  },
  {
    name: 'an unsigned request reads nothing',
    expected: '403',
    async run({ url, bucket, put }) {
      await put('key', 'x');
      return String((await fetch(`${url}/${bucket}/key`)).status);
    },
  },
  {
    name: 'a policy can allow everyone to read',
    expected: 'x',
    async run(world) {
      await world.put('key', 'x');
      await setPolicy(world, 'Allow', 's3:GetObject');
      return (await fetch(`${world.url}/${world.bucket}/key`)).text();
    },
  },
  {
    name: 'an invalid policy is rejected',
    expected: 'MalformedPolicy 400',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: '{' }))),
  },
  {
    name: 'the time of an object is the time of its server',
    expected: 'ok',
    async run({ client, bucket, put }) {
      await put('key', 'x');
      const { LastModified } = await client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: 'key' }),
      );
      const ageMs = systemClock.epochMs() - (LastModified?.getTime() ?? 0);
      return Math.abs(ageMs) < 300_000 ? 'ok' : `${ageMs} ms ago`;
    },
  },
  {
    name: 'a bucket reports whether versioning is enabled',
    expected: 'ok',
    run: ({ client, bucket }) =>
      refusalOf(client.send(new GetBucketVersioningCommand({ Bucket: bucket }))),
  },
];
