import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { describe, test } from '@jest/globals';
import { type StorageBackend, createStorage, s3Backend } from '@holdfast/storage';
import { honoursStorageBackendContract, honoursStorageContract } from '@holdfast/storage/contract';
import type { S3Target } from '../../src/storage/s3-programs.ts';
import { targetIn } from './s3-target.ts';

/** A bucket of its own at a server that outlives the test. */
async function openBucket({ url, credentials }: S3Target): Promise<{
  backend: StorageBackend;
  close: () => Promise<void>;
}> {
  const Bucket = `contract-${randomUUID().slice(0, 13)}`;
  const client = new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
  });
  await client.send(new CreateBucketCommand({ Bucket }));
  return {
    backend: s3Backend({ client, bucket: Bucket }),
    async close() {
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
        for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }));
      }
      // A server may keep the parts of an aborted upload for a while.
      await client.send(new DeleteBucketCommand({ Bucket })).catch(() => undefined);
      client.destroy();
    },
  };
}

async function openStorage(target: S3Target) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-contract-'));
  const { backend, close } = await openBucket(target);
  const storage = createStorage({
    backends: [backend],
    journal: { directory: join(directory, 'journal'), minFreeBytes: 0 },
    local: { directory: join(directory, 'local') },
    acknowledgeWithinMs: 60_000,
  });
  return {
    storage,
    async close() {
      await storage.close();
      await close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const target = targetIn(process.env);
if (target === undefined) {
  const reason = 'HOLDFAST_S3_URL names no server, such as http://key:secret@127.0.0.1:7480';
  // oxlint-disable-next-line jest/no-disabled-tests, jest/expect-expect -- the name says why
  test.skip(`a real S3 honors the contracts of the storage (${reason})`, () => undefined);
} else {
  describe('a backend on the S3 of HOLDFAST_S3_URL', () => {
    honoursStorageBackendContract(() => openBucket(target));
  });
  describe('a storage on the S3 of HOLDFAST_S3_URL', () => {
    honoursStorageContract(() => openStorage(target));
  });
}
