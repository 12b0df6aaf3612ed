import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '@holdfast/foundation';
import { createStorage, s3Backend } from '@holdfast/storage';
import type { S3 } from '@holdfast/stage';
import { DemoLedger } from '../ledger.ts';
import type { Load } from './load.ts';

const BUCKET = 'orders';
const BODY_BYTES = 2_048;
/** How many objects are read at a time. */
const READERS = 16;
const FLUSH_TIMEOUT_MS = 30_000;

interface ObjectLoadOptions {
  readonly server: S3;
  /** Of the demo; the journal has a folder in it. */
  readonly directory: string;
  readonly clock: Clock;
}

/** Uploaded objects; each has to be on the server with its own bytes. */
export async function openObjectLoad({
  server,
  directory,
  clock,
}: ObjectLoadOptions): Promise<Load> {
  const { region, url: endpoint, credentials } = server;
  const address = { endpoint, region, credentials, forcePathStyle: true };
  // The storage sends again by itself; what reads at the end is a client of its own.
  const client = new S3Client({ ...address, maxAttempts: 1 });
  const reader = new S3Client(address);
  await reader.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const storage = createStorage({
    backends: [s3Backend({ client, bucket: BUCKET, requestTimeoutMs: 400 })],
    journal: { directory: join(directory, 'objects') },
    // A frozen server is noticed in a fraction of the time for which it is frozen.
    acknowledgeWithinMs: 300,
    lateWriteMs: 1_500,
    circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 200 },
    retry: { initialDelayMs: 20, maxDelayMs: 200 },
    clock,
  });
  const ledger = new DemoLedger();
  return {
    unit: 'objects',
    ledger,
    async handOver(number) {
      return (await storage.upload(keyOf(number), bodyOf(number))).stored === 'primary';
    },
    async find(signal) {
      await storage.flush({ deadlineMs: FLUSH_TIMEOUT_MS, signal });
      return readAll(reader, ledger.acceptedNumbers(), signal);
    },
    async close() {
      await storage.close({ deadlineMs: 1_000 });
      client.destroy();
      reader.destroy();
    },
  };
}

/** By the client alone: the storage would answer from its journal, too. */
async function readAll(
  client: S3Client,
  numbers: number[],
  signal: AbortSignal,
): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const readNext = async (): Promise<void> => {
    for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
      signal.throwIfAborted();
      if (await isThere(client, number, signal)) found.set(number, 1);
    }
  };
  await Promise.all(Array.from({ length: READERS }, readNext));
  return found;
}

async function isThere(
  client: S3Client,
  number: number,
  abortSignal: AbortSignal,
): Promise<boolean> {
  const command = new GetObjectCommand({ Bucket: BUCKET, Key: keyOf(number) });
  try {
    const { Body } = await client.send(command, { abortSignal });
    return (await Body?.transformToString()) === bodyOf(number);
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return false;
    throw error;
  }
}

function keyOf(number: number): string {
  return `order-${number}.txt`;
}

/** Differs from that of every other object in every line. */
function bodyOf(number: number): string {
  return `order ${number}\n`.repeat(BODY_BYTES / 16);
}
