import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { pageOf } from '../src/object-files/key-page.ts';
import { byBytes } from '../src/object-files/records.ts';
import { s3Error, withS3 } from './s3-client.ts';

const Bucket = 'bucket';

test('pages of any size list together what one page lists, sorted by bytes', () => {
  const key = fc.string({
    unit: fc.constantFrom('a', 'b', '/', 'é', '😀', '\uffee'),
    minLength: 1,
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(key, { maxLength: 30 }),
      fc.constantFrom('', 'a', 'a/', '/'),
      fc.constantFrom('', '/'),
      fc.integer({ min: 1, max: 5 }),
      (keys, prefix, delimiter, maxKeys) => {
        const sorted = keys.toSorted(byBytes);
        const whole = pageOf(sorted, { prefix, delimiter, after: '', maxKeys: 1_000 });
        const shown: string[] = [];
        let after: string | undefined = '';
        while (after !== undefined) {
          const page = pageOf(sorted, { prefix, delimiter, after, maxKeys });
          expect(page.keys.length + page.prefixes.length).toBeLessThanOrEqual(maxKeys);
          shown.push(...[...page.keys, ...page.prefixes].toSorted(byBytes));
          after = page.next;
        }
        expect(shown).toEqual([...whole.keys, ...whole.prefixes].toSorted(byBytes));
        expect(sorted).toEqual(
          keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
        );
        const below = keys.filter((each) => each.startsWith(prefix));
        const reached = below.every(
          (each) =>
            whole.keys.includes(each) || whole.prefixes.some((start) => each.startsWith(start)),
        );
        expect(reached).toBe(true);
      },
    ),
    { numRuns: 200, seed: 11 },
  );
});

test('a listing groups keys by the delimiter and continues where it stopped', async () => {
  await withS3({}, async ({ client }) => {
    for (const Key of ['a', 'b/1', 'b/2', 'c/3/4', 'd']) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    }
    const Delimiter = '/';
    const first = await client.send(new ListObjectsV2Command({ Bucket, Delimiter, MaxKeys: 2 }));
    expect(first).toMatchObject({ IsTruncated: true, KeyCount: 2 });
    expect(first.Contents).toMatchObject([{ Key: 'a', Size: 1, StorageClass: 'STANDARD' }]);
    expect(first.CommonPrefixes).toEqual([{ Prefix: 'b/' }]);
    const ContinuationToken = first.NextContinuationToken;
    const rest = await client.send(
      new ListObjectsV2Command({ Bucket, Delimiter, ContinuationToken }),
    );
    expect(rest.CommonPrefixes).toEqual([{ Prefix: 'c/' }]);
    expect(rest.Contents?.map(({ Key }) => Key)).toEqual(['d']);
    const below = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix: 'b/', StartAfter: 'b/1' }),
    );
    expect(below.Contents?.map(({ Key }) => Key)).toEqual(['b/2']);
    const keys: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 1 }, { Bucket })) {
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
    }
    expect(keys).toEqual(['a', 'b/1', 'b/2', 'c/3/4', 'd']);
    const old = await client.send(new ListObjectsCommand({ Bucket, Marker: 'b/2' }));
    expect(old.Contents?.map(({ Key }) => Key)).toEqual(['c/3/4', 'd']);
    const wrong = client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: '!' }));
    await expect(wrong).rejects.toEqual(s3Error('InvalidArgument', 400));
  });
});

test('a bucket is created once, listed, and removed when it is empty', async () => {
  const other = { accessKeyId: 'other', secretAccessKey: 'other-secret' };
  await withS3({ accounts: [other] }, async ({ client, connect }) => {
    const create = new CreateBucketCommand({ Bucket });
    await expect(client.send(create)).rejects.toEqual(s3Error('BucketAlreadyOwnedByYou', 409));
    const stranger = connect({ credentials: { ...other } });
    await expect(stranger.send(create)).rejects.toEqual(s3Error('BucketAlreadyExists', 409));
    const { Buckets } = await client.send(new ListBucketsCommand({}));
    expect(Buckets).toEqual([{ Name: Bucket, CreationDate: expect.any(Date) }]);
    expect((await stranger.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
    await client.send(new HeadBucketCommand({ Bucket }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }));
    const remove = new DeleteBucketCommand({ Bucket });
    await expect(client.send(remove)).rejects.toEqual(s3Error('BucketNotEmpty', 409));
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'key' }));
    await client.send(remove);
    await expect(client.send(remove)).rejects.toEqual(s3Error('NoSuchBucket', 404));
    await expect(client.send(new HeadBucketCommand({ Bucket }))).rejects.toEqual(
      s3Error('NotFound', 404),
    );
  });
});

test('removing a bucket removes its unfinished uploads', async () => {
  await withS3({}, async ({ client }) => {
    const create = new CreateMultipartUploadCommand({ Bucket, Key: 'key' });
    const { UploadId } = await client.send(create);
    await client.send(new DeleteBucketCommand({ Bucket }));
    await client.send(new CreateBucketCommand({ Bucket }));
    const abort = client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'key', UploadId }));
    await expect(abort).rejects.toEqual(s3Error('NoSuchUpload', 404));
  });
});

test('an invalid bucket name is rejected', async () => {
  await withS3({}, async ({ client }) => {
    for (const name of ['ab', 'Upper', 'a..b', 'under_score', '127.0.0.1', '-a-', 'x'.repeat(64)]) {
      const create = client.send(new CreateBucketCommand({ Bucket: name }));
      await expect(create).rejects.toEqual(s3Error('InvalidBucketName', 400));
    }
  });
});
