import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { s3Error, withS3 } from './s3-client.ts';

const address = { Bucket: 'bucket', Key: 'large' };
const PART_BYTES = 5_242_880;

async function begin(client: S3Client, more: object = {}): Promise<string> {
  const create = new CreateMultipartUploadCommand({ ...address, ...more });
  return (await client.send(create)).UploadId ?? '';
}

async function send(
  client: S3Client,
  UploadId: string,
  PartNumber: number,
  Body: Buffer | string,
  ChecksumAlgorithm?: ChecksumAlgorithm,
): Promise<CompletedPart> {
  const { ETag, ChecksumCRC32, ChecksumSHA256 } = await client.send(
    new UploadPartCommand({ ...address, UploadId, PartNumber, Body, ChecksumAlgorithm }),
  );
  return { PartNumber, ETag, ChecksumCRC32, ChecksumSHA256 };
}

function complete(UploadId: string, Parts: CompletedPart[]): CompleteMultipartUploadCommand {
  return new CompleteMultipartUploadCommand({ ...address, UploadId, MultipartUpload: { Parts } });
}

test.each([[{}], [{ ChecksumAlgorithm: 'SHA256' as const }]])(
  'parts become one object, which can be read across part boundaries, with options %j',
  async (options) => {
    await withS3({}, async ({ client, server }) => {
      const bytes = randomBytes(PART_BYTES + 1_000);
      const id = await begin(client, { ...options, Metadata: { op: '1' } });
      const { ChecksumAlgorithm: algorithm } = { ChecksumAlgorithm: undefined, ...options };
      const overwritten = await send(client, id, 1, 'overwritten', algorithm);
      const last = await send(client, id, 2, bytes.subarray(PART_BYTES), algorithm);
      const first = await send(client, id, 1, bytes.subarray(0, PART_BYTES), algorithm);
      await send(client, id, 3, 'left out', algorithm);
      expect(overwritten.ETag).not.toBe(first.ETag);
      const done = await client.send(complete(id, [first, last]));
      expect(done.ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
      const got = await client.send(new GetObjectCommand({ ...address, ChecksumMode: 'ENABLED' }));
      expect(bytes.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
      expect(got).toMatchObject({ Metadata: { op: '1' }, ETag: done.ETag });
      const Range = `bytes=${PART_BYTES - 2}-${PART_BYTES + 1}`;
      const edge = await client.send(new GetObjectCommand({ ...address, Range }));
      expect(Buffer.from((await edge.Body?.transformToByteArray()) ?? [])).toEqual(
        bytes.subarray(PART_BYTES - 2, PART_BYTES + 2),
      );
      expect(server.getStats().storedBytes).toBe(bytes.length);
      await expect(client.send(complete(id, [first, last]))).rejects.toEqual(
        s3Error('NoSuchUpload', 404),
      );
    });
  },
);

test('an upload completes only with parts that exist, are in order and are large enough', async () => {
  await withS3({}, async ({ client }) => {
    const id = await begin(client);
    const [one, two] = [await send(client, id, 1, 'small'), await send(client, id, 2, 'last')];
    const absent = { PartNumber: 3, ETag: one.ETag };
    const other = { PartNumber: 2, ETag: one.ETag };
    await expect(client.send(complete(id, [one, absent]))).rejects.toEqual(
      s3Error('InvalidPart', 400),
    );
    await expect(client.send(complete(id, [one, other]))).rejects.toEqual(
      s3Error('InvalidPart', 400),
    );
    await expect(client.send(complete(id, [two, one]))).rejects.toEqual(
      s3Error('InvalidPartOrder', 400),
    );
    await expect(client.send(complete(id, [one, two]))).rejects.toEqual(
      s3Error('EntityTooSmall', 400),
    );
    await expect(send(client, id, 10_001, 'x')).rejects.toEqual(s3Error('InvalidArgument', 400));
    await client.send(complete(id, [one]));
  });
});

test('parts are listed page by page, and an aborted upload leaves nothing', async () => {
  await withS3({}, async ({ client, server }) => {
    const id = await begin(client);
    for (const number of [1, 2, 10]) await send(client, id, number, 'x'.repeat(number));
    const UploadId = id;
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'bucket' }));
    expect(Uploads).toMatchObject([{ Key: 'large', UploadId }]);
    const first = await client.send(new ListPartsCommand({ ...address, UploadId, MaxParts: 2 }));
    expect(first).toMatchObject({ IsTruncated: true, NextPartNumberMarker: '2' });
    expect(first.Parts).toMatchObject([
      { PartNumber: 1, Size: 1 },
      { PartNumber: 2, Size: 2 },
    ]);
    const PartNumberMarker = first.NextPartNumberMarker;
    const rest = await client.send(
      new ListPartsCommand({ ...address, UploadId, PartNumberMarker }),
    );
    expect(rest.Parts).toMatchObject([{ PartNumber: 10, Size: 10 }]);
    await client.send(new AbortMultipartUploadCommand({ ...address, UploadId }));
    await expect(send(client, id, 1, 'x')).rejects.toEqual(s3Error('NoSuchUpload', 404));
    expect(server.getStats().storedBytes).toBe(0);
  });
});

test('a part can be copied from an object or a range of it', async () => {
  await withS3({}, async ({ client }) => {
    const source = { Bucket: 'bucket', Key: 'source' };
    await client.send(new PutObjectCommand({ ...source, Body: '0123456789' }));
    const UploadId = await begin(client);
    const { CopyPartResult } = await client.send(
      new UploadPartCopyCommand({
        ...address,
        UploadId,
        PartNumber: 1,
        CopySource: 'bucket/source',
        CopySourceRange: 'bytes=2-5',
      }),
    );
    await client.send(complete(UploadId, [{ PartNumber: 1, ETag: CopyPartResult?.ETag }]));
    const got = await client.send(new GetObjectCommand(address));
    expect(await got.Body?.transformToString()).toBe('2345');
  });
});

test('a completion under If-None-Match does not replace an object', async () => {
  await withS3({}, async ({ client }) => {
    await client.send(new PutObjectCommand({ ...address, Body: 'there' }));
    const id = await begin(client);
    const Parts = [await send(client, id, 1, 'late')];
    const late = new CompleteMultipartUploadCommand({
      ...address,
      UploadId: id,
      MultipartUpload: { Parts },
      IfNoneMatch: '*',
    });
    await expect(client.send(late)).rejects.toEqual(s3Error('PreconditionFailed', 412));
    expect(await client.send(new HeadObjectCommand(address))).toMatchObject({ ContentLength: 5 });
    await client.send(complete(id, Parts));
    expect(await client.send(new HeadObjectCommand(address))).toMatchObject({ ContentLength: 4 });
  });
});
