/** The CPU time of this process for an upload or a download on a healthy server, beside the bare client. */
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { type Storage, createStorage, s3Backend, supabaseBackend } from '@holdfast/storage';
import { BUCKET, type Servers } from './servers.ts';

type Run = (key: string) => Promise<unknown>;

/** One row of the table: the bare client and a storage that does the same. */
interface Case {
  readonly name: string;
  readonly inFlight: number;
  readonly bare: Run;
  readonly ours: Run;
}

const BODY = Buffer.alloc(4_096, 'x');
const KEYS = 250;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 15);
/** Calls of one turn; a round has four turns. */
const CALLS = 1_000;
/** Warm-up of each contender; with less the threads of the compiler would still be counted. */
const WARM_UP = 5_000;
const MAX_BYTES = 64 * 2 ** 30;

/**
 * Prints a row for each backend, direction and number of calls in flight. A round runs both contenders twice: the
 * one that starts it also ends it. Each turn ends with a full collection, so that each contender pays for its own
 * garbage: otherwise a collection would happen once in thousands of calls, take tens of milliseconds, and be charged
 * to an arbitrary contender. The cost of an empty collection is subtracted.
 * @param only a part of the names of the rows to measure
 */
export async function compareCpu(servers: Servers, directory: string, only = ''): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  process.stdout.write(
    `| CPU of the client, 4 KB, medians of ${ROUNDS} rounds | bare us | ours us | ratio | half of the rounds | least of each |\n` +
      '|---|---:|---:|---:|---:|---:|\n',
  );
  const storages = {
    supabase: open(
      join(directory, 'supabase'),
      supabaseBackend({ client: servers.supabase, bucket: BUCKET }),
    ),
    s3: open(join(directory, 's3'), s3Backend({ client: servers.s3, bucket: BUCKET })),
  };
  for (const one of casesOf(servers, storages)) {
    if (one.name.includes(only)) process.stdout.write(`${await measure(one, collect)}\n`);
  }
  process.stdout.write('\n');
  await Promise.all(Object.values(storages).map((storage) => storage.close()));
}

function open(directory: string, backend: ReturnType<typeof s3Backend>): Storage {
  return createStorage({
    backends: [backend],
    journal: { directory, maxBytes: MAX_BYTES },
    acknowledgeWithinMs: 60_000,
    maxConcurrent: 50,
  });
}

function casesOf(
  { supabase, s3 }: Servers,
  storages: { readonly supabase: Storage; readonly s3: Storage },
): Case[] {
  const upload =
    (storage: Storage): Run =>
    async (key) => {
      const { stored } = await storage.upload(key, BODY);
      if (stored !== 'primary') throw new Error(`an upload was ${stored}`);
    };
  const download =
    (storage: Storage): Run =>
    async (key) => {
      const read = await storage.download(key);
      if ((await read.bytes()).byteLength !== BODY.byteLength) throw new Error('it is too short');
    };
  const pairs = [
    {
      name: 'supabase upload',
      ours: upload(storages.supabase),
      async bare(key: string) {
        const { error } = await supabase.storage.from(BUCKET).upload(key, BODY, { upsert: true });
        if (error !== null) throw error;
      },
    },
    {
      name: 's3 upload',
      ours: upload(storages.s3),
      bare: (Key: string) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: BODY })),
    },
    {
      name: 'supabase download',
      ours: download(storages.supabase),
      async bare(key: string) {
        const { data, error } = await supabase.storage.from(BUCKET).download(key);
        if (error !== null) throw error;
        await data.arrayBuffer();
      },
    },
    {
      name: 's3 download',
      ours: download(storages.s3),
      async bare(Key: string) {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
        await Body?.transformToByteArray();
      },
    },
  ];
  return pairs.flatMap((pair) =>
    [50, 1].map((inFlight) => ({
      name: `${pair.name}, ${inFlight} in flight`,
      inFlight,
      bare: (key: string) => pair.bare(key),
      ours: (key: string) => pair.ours(key),
    })),
  );
}

async function measure(
  { name, inFlight, ...contenders }: Case,
  collect: () => void,
): Promise<string> {
  const costOf = async (contender: 'bare' | 'ours', calls: number): Promise<number> => {
    collect();
    const nothing = await cpuUs(async () => collect());
    const spent = await cpuUs(async () => {
      await inTurns(calls, inFlight, (each) => contenders[contender](`cpu/${each % KEYS}`));
      collect();
    });
    return (spent - nothing) / calls;
  };
  await costOf('ours', WARM_UP);
  await costOf('bare', WARM_UP);
  const costs: Record<'bare' | 'ours', number[]> = { bare: [], ours: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const spentUs = { bare: 0, ours: 0 };
    const [outer, inner] =
      round % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const);
    for (const contender of [outer, inner, inner, outer]) {
      spentUs[contender] += (await costOf(contender, CALLS)) / 2;
    }
    costs.bare.push(spentUs.bare);
    costs.ours.push(spentUs.ours);
  }
  const ratios = costs.ours.map((cost, round) => cost / (costs.bare[round] ?? Number.NaN));
  const cells = [
    name,
    quantile(costs.bare, 0.5).toFixed(0),
    quantile(costs.ours, 0.5).toFixed(0),
    `${quantile(ratios, 0.5).toFixed(2)}x`,
    `${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)}`,
    `${(Math.min(...costs.ours) / Math.min(...costs.bare)).toFixed(2)}x`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** User and system time of this process, all threads of it. */
async function cpuUs(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function inTurns(
  count: number,
  inFlight: number,
  work: (each: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length * fraction)] ?? Number.NaN;
}
