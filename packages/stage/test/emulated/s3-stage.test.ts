import { describe, expect, test } from '@jest/globals';
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { honoursServerContract } from '../../src/contract.ts';
import { probeHttp } from '../../src/servers/emulated/http-probe.ts';
import { type S3, s3Topology } from '../../src/servers/emulated/s3.ts';
import { parseS3Settings } from '@holdfast/emulators/programs';
import { openStage } from '../../src/stage.ts';

const Bucket = 'bucket';

function clientOf({ url, region, credentials }: S3): S3Client {
  return new S3Client({
    endpoint: url,
    region,
    credentials: { ...credentials },
    forcePathStyle: true,
    maxAttempts: 1,
  });
}

describe('the S3 of a stage', () => {
  honoursServerContract(
    async () => {
      const stage = await openStage({ mode: 'local', s3: true });
      const client = clientOf(stage.s3);
      await client.send(new CreateBucketCommand({ Bucket }));
      return {
        server: stage.s3,
        async close() {
          client.destroy();
          await stage.close();
        },
        ping: (signal) => probeHttp(stage.s3, '/health', signal),
        async store(Key, Body, abortSignal) {
          await client.send(new PutObjectCommand({ Bucket, Key, Body }), { abortSignal });
        },
        async recall(Key, abortSignal) {
          const got = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
          return (await got.Body?.transformToString()) ?? null;
        },
        startLine: /s3 listens on/,
      };
    },
    { kills: 1 },
  );
});

test('faults apply while they are set, up to their times, and each request is recorded', async () => {
  const stage = await openStage({ mode: 'local', s3: true });
  const client = clientOf(stage.s3);
  try {
    await client.send(new CreateBucketCommand({ Bucket }));
    await stage.s3.setFaults([
      {
        operation: 'PutObject',
        times: 1,
        fault: { kind: 'error', status: 503, code: 'SlowDown' },
      },
    ]);
    await stage.s3.forgetRequests();
    const put = new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' });
    await expect(client.send(put)).rejects.toMatchObject({ name: 'SlowDown' });
    await client.send(put);
    expect(await stage.s3.requests()).toMatchObject([
      { operation: 'PutObject', bucket: Bucket, key: 'key', status: 503, receivedBytes: 0 },
      { operation: 'PutObject', status: 200 },
    ]);
    const wrong = stage.s3.setFaults([{ fault: { kind: 'delay', delayMs: -1 } }]);
    await expect(wrong).rejects.toMatchObject({ field: 'faults[0].fault.delayMs' });
  } finally {
    client.destroy();
    await stage.close();
  }
});

test.each([
  [{ s3: 'rustfs' }, 's3'],
  [{ s3: { directory: 'x' } }, 's3.directory'],
  [{ s3: { maxObjectBytes: 0 } }, 's3.maxObjectBytes'],
  [{ s3: { faults: [{ fault: { kind: 'delay' } }] } }, 's3.faults[0].fault.delayMs'],
])('the options %j are refused by naming %s', async (options, field) => {
  const wrong: object = options;
  await expect(openStage(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test('an S3 with accounts is refused in Docker before the engine is asked', async () => {
  const accounts = [{ accessKeyId: 'other', secretAccessKey: 'secret' }];
  await expect(openStage({ mode: 'docker', s3: { accounts } })).rejects.toMatchObject({
    code: 'STAGE_MODE_UNAVAILABLE',
    message: expect.stringContaining('s3 with accounts or faults'),
  });
});

test('an S3 with other options than those of compose is refused in mode compose', () => {
  const composed = (given: object): unknown =>
    s3Topology(parseS3Settings('openStage', given), {}).compose;
  expect(composed({})).toEqual({ available: true, services: ['s3'], profile: 'storage' });
  expect(composed({ accessKeyId: 'holdfast' })).toMatchObject({ available: true });
  expect(composed({ minPartBytes: 1 })).toMatchObject({
    available: false,
    reason: expect.stringContaining('s3.minPartBytes'),
  });
});

test('in Docker it is RustFS, with the same credentials, published at its address', () => {
  const settings = parseS3Settings('openStage', { accessKeyId: 'owner', secretAccessKey: 'own' });
  const address = { host: '127.0.0.1', port: 12_345 };
  const [wave] = s3Topology(settings, {}).serverSpecs([{ ...address, advertised: address }]);
  expect(wave?.[0]?.container).toEqual({
    image: 'rustfs/rustfs:1.0.0',
    port: 9_000,
    command: ['/data'],
    files: [],
    env: { RUSTFS_ACCESS_KEY: 'owner', RUSTFS_SECRET_KEY: 'own' },
  });
  const env = { HOLDFAST_IMAGE_S3: 'mirror/rustfs:1' };
  expect(s3Topology(settings, env).docker).toEqual({
    available: true,
    images: ['mirror/rustfs:1'],
  });
});
