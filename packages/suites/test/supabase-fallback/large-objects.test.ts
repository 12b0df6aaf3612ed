import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import { sleep, systemClock } from '@holdfast/foundation';
import { type Stage, openStage } from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import {
  type LargeTarget,
  killWhile,
  transferLarge,
  sha256OfLarge,
} from '../../src/storage/large.ts';

const MIB = 1_048_576;
/** One gibibyte with the flag. */
const BYTES = Number(process.env['HOLDFAST_LARGE_BYTES'] ?? 64 * MIB + 12_345);
/** 64 MB. */
const MAX_EXTRA_BYTES = 64_000_000;
/** Several parts, few enough that sending more than one again is visible. */
const RESUMED_BYTES = 50 * MIB;
const PARTS_BEFORE = 3;
const POLL_MS = 20;
const FAMILY = 'supabase-fallback';
const bucket = 'large';
const OPTIONS = {
  mode: 'local',
  link: false,
  s3: true,
  supabase: { maxObjectBytes: 4 * BYTES },
} as const;

let stage: Stage<typeof OPTIONS>;
const directories: string[] = [];

beforeAll(async () => {
  stage = await openStage(OPTIONS);
  const { s3, supabase } = stage;
  const auth = { persistSession: false, autoRefreshToken: false };
  const client = createClient(supabase.url, supabase.serviceRoleKey, { auth });
  const { error } = await client.storage.createBucket(bucket);
  if (error !== null) throw error;
  const { url: endpoint, region, credentials } = s3;
  const owner = new S3Client({
    endpoint,
    region,
    credentials: { ...credentials },
    forcePathStyle: true,
  });
  await owner.send(new CreateBucketCommand({ Bucket: bucket }));
  owner.destroy();
});

afterAll(async () => {
  await stage.close();
  await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
});

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-large-'));
  directories.push(directory);
  return directory;
}

function target(kind: LargeTarget['kind']): LargeTarget {
  const { s3, supabase } = stage;
  if (kind === 'disk') return { kind };
  return kind === 's3'
    ? { kind, url: s3.url, credentials: { ...s3.credentials }, bucket }
    : { kind, url: supabase.url, key: supabase.serviceRoleKey, bucket };
}

function recordRow(scenario: string, fault: string, note: string): void {
  const counts = { accepted: 1, delivered: 1, lost: 0, duplicated: 0, outOfOrder: 0 };
  record({ family: FAMILY, scenario, fault, stage: 'local', ...counts, note });
}

const passing = [
  {
    kind: 'supabase',
    promise:
      'an object of any size is stored in Supabase within 64 MB, and read back in the memory that Node itself needs',
  },
  {
    kind: 's3',
    promise:
      'an object of any size is stored in S3 within 64 MB, and read back in the memory that Node itself needs',
  },
  {
    kind: 'disk',
    promise:
      'an object of any size is stored on a disk within 64 MB, and read back in the memory that Node itself needs',
  },
] as const;

const resumed = [
  {
    kind: 'supabase',
    promise:
      'after a process is killed during an upload to Supabase, at most one part is sent again',
    partBytes: 6 * MIB,
    part: 'patchResumable',
  },
  {
    kind: 's3',
    promise: 'after a process is killed during an upload to S3, at most one part is sent again',
    partBytes: 8 * MIB,
    part: 'UploadPart',
  },
] as const;

const shown = (bytes: number): string => `${Math.max(0, Math.round(bytes / MIB))} MiB`;

test.each(passing)(
  '$promise',
  async ({ kind, promise }) => {
    const measured = await transferLarge({
      task: 'measure',
      to: target(kind),
      path: 'measured',
      bytes: BYTES,
      directory: await freshDirectory(),
    });
    const { left, sha256, bareBytes, spooledBytes, drainedBytes, readBytes } = measured;
    expect({ left, sha256 }).toEqual({ left: 0, sha256: sha256OfLarge(BYTES) });
    const note =
      `${shown(BYTES)}; accepted in ${shown(spooledBytes)} more memory, delivered in ` +
      `${shown(drainedBytes)}, read in ${shown(readBytes)}, where Node itself takes ` +
      `${shown(bareBytes)} to hand out such a body.`;
    recordRow(promise, 'none', note);
    expect(Math.max(spooledBytes, drainedBytes)).toBeLessThan(MAX_EXTRA_BYTES);
    // Node may keep 64 MiB of read chunks uncollected; that memory belongs to the reader.
    expect(readBytes - bareBytes).toBeLessThan(MAX_EXTRA_BYTES);
  },
  3_600_000,
);

test.each(resumed)(
  '$promise',
  async ({ kind, promise, partBytes, part }) => {
    const server = stage[kind];
    const bytes = Math.min(BYTES, RESUMED_BYTES);
    const order = { to: target(kind), path: 'resumed', bytes, directory: await freshDirectory() };
    await server.forgetRequests();
    const received = async (): Promise<number[]> => {
      const asked = await server.requests();
      return asked.flatMap((one) => (one.operation === part ? [one.receivedBytes] : []));
    };
    await killWhile({ task: 'accept', ...order }, async () => {
      while ((await received()).length < PARTS_BEFORE) await sleep(systemClock, POLL_MS);
    });
    const { left, sha256 } = await transferLarge({ task: 'go on', ...order });
    expect({ left, sha256 }).toEqual({ left: 0, sha256: sha256OfLarge(bytes) });
    const sentBytes = (await received()).reduce((sum, one) => sum + one, 0);
    recordRow(
      promise,
      `SIGKILL after ${PARTS_BEFORE} parts`,
      `${shown(bytes)}, of which ${shown(sentBytes - bytes)} were sent twice.`,
    );
    expect(sentBytes).toBeGreaterThanOrEqual(bytes);
    expect(sentBytes).toBeLessThanOrEqual(bytes + partBytes);
  },
  3_600_000,
);
