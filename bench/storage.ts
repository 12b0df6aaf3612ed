/**
 * Measures the cost of storing a write before sending it: accepting, the healthy path next to bare supabase-js,
 * and the recovery after an outage. Objects have 4 KB; the server is a separate process on the same machine.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createClient } from '@supabase/supabase-js';
import { createSupabaseStorageServer } from '@holdfast/emulators';
import { createStorage, supabaseBackend } from '@holdfast/storage';
import { createMemoryBackend } from '@holdfast/storage/testing';
import { compare, table } from './measure.ts';

const BUCKET = 'bench';
const BODY = Buffer.alloc(4_096, 'x');
const IN_FLIGHT = 50;
const ROUNDS = 3;
const HEALTHY_ROUNDS = 15;
const HEALTHY_UPLOADS = 1_000;
const HEALTHY_KEYS = 250;
/** Warm-up of each contender; with less the threads of the compiler would still be counted. */
const HEALTHY_WARM_UP = 5_000;
/** One of `accepting`, `healthy`, `draining`. Default: all. */
const ROW = process.env['BENCH_ROW'];
const DRAINS = 3;
/** No drain starts after this time. */
const DRAINS_WITHIN_MS = 30_000;
const QUEUED_OBJECTS = Number(process.env['BENCH_QUEUED_OBJECTS'] ?? 10_000);
const MAX_BYTES = 64 * 2 ** 30;

if (process.argv[2] === 'server') {
  const server = await createSupabaseStorageServer();
  process.send?.({ url: server.url, key: server.serviceRoleKey });
  process.on('disconnect', () => void server.close());
} else {
  await measureAll();
}

async function measureAll(): Promise<void> {
  const child = fork(import.meta.filename, ['server'], { execArgv: [] });
  const directory = await mkdtemp(
    join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'holdfast-bench-'),
  );
  try {
    const [message] = await once(child, 'message');
    const { url, key }: { url: string; key: string } = message;
    const client = createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false },
    });
    await client.storage.createBucket(BUCKET);
    for (const [name, row] of Object.entries({ accepting, healthy, draining })) {
      if (ROW === undefined || ROW === name) await row(client, directory);
    }
  } finally {
    child.disconnect();
    await once(child, 'exit');
    await rm(directory, { recursive: true, force: true });
  }
}

function connect(url: string, key: string) {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

/** Measures a durable write while no backend answers, next to a file that is not even synced. */
async function accepting(_client: Client, directory: string): Promise<void> {
  const away = createMemoryBackend();
  away.intercept = () => ({ before: { kind: 'transient', message: 'away' } });
  const storage = createStorage({
    backends: [away],
    journal: { directory: join(directory, 'accepting'), maxBytes: MAX_BYTES },
    acknowledgeWithinMs: 0,
  });
  await storage.ready();
  let files = 0;
  let uploads = 0;
  const measured = await compare(
    [
      {
        name: 'upload, no backend answers',
        run: () => storage.upload(`k${(uploads += 1) % 1_000}`, BODY),
      },
      {
        name: 'fs.promises.writeFile, not synced',
        run: () => writeFile(join(directory, `file-${(files += 1) % 1_000}`), BODY),
      },
    ],
    { inFlight: IN_FLIGHT, rounds: ROUNDS, roundMs: 1_000 },
  );
  process.stdout.write(`${table(`accept, ${IN_FLIGHT} in flight`, measured)}\n`);
  await storage.close({ deadlineMs: 0 });
}

type Client = ReturnType<typeof connect>;

/**
 * Measures CPU time of this process per upload on a healthy server. A round runs both contenders twice: the one
 * that starts it also ends it. Each turn ends with a full collection, so that each contender pays for its own
 * garbage: otherwise a collection would happen once in thousands of uploads, take tens of milliseconds,
 * and be charged to an arbitrary contender. The cost of an empty collection is subtracted.
 */
async function healthy(client: Client, directory: string): Promise<void> {
  const storage = createStorage({
    backends: [supabaseBackend({ client, bucket: BUCKET })],
    journal: { directory: join(directory, 'healthy'), maxBytes: MAX_BYTES },
    acknowledgeWithinMs: 60_000,
    maxConcurrent: IN_FLIGHT,
  });
  await storage.ready();
  const bare = async (key: string): Promise<void> => {
    const { error } = await client.storage.from(BUCKET).upload(key, BODY, { upsert: true });
    if (error !== null) throw error;
  };
  const ours = async (key: string): Promise<void> => {
    const { stored } = await storage.upload(key, BODY);
    if (stored !== 'primary') throw new Error(`an upload was ${stored}`);
  };
  const contenders = { bare, ours };
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const costOf = async (name: keyof typeof contenders, uploads: number): Promise<number> => {
    collect();
    const nothing = await spent(async () => collect());
    const { cpuMs } = await spent(async () => {
      await inFlight(uploads, (each) => contenders[name](`healthy/${each % HEALTHY_KEYS}`));
      collect();
    });
    return ((cpuMs - nothing.cpuMs) * 1_000) / uploads;
  };
  await costOf('bare', HEALTHY_WARM_UP);
  await costOf('ours', HEALTHY_WARM_UP);
  const costs: Record<keyof typeof contenders, number[]> = { bare: [], ours: [] };
  for (let round = 0; round < HEALTHY_ROUNDS; round += 1) {
    const spentUs = { bare: 0, ours: 0 };
    const [outer, inner] =
      round % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const);
    for (const name of [outer, inner, inner, outer]) {
      spentUs[name] += (await costOf(name, HEALTHY_UPLOADS)) / 2;
    }
    costs.bare.push(spentUs.bare);
    costs.ours.push(spentUs.ours);
  }
  const ratios = costs.ours.map((cost, round) => cost / (costs.bare[round] ?? Number.NaN));
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
  process.stdout.write(
    `healthy path, CPU of the client, medians of ${HEALTHY_ROUNDS} rounds: ` +
      `${quantile(costs.ours, 0.5).toFixed(0)} us an upload, bare supabase-js ` +
      `${quantile(costs.bare, 0.5).toFixed(0)} us, ${quantile(ratios, 0.5).toFixed(2)}x ` +
      `(half of the rounds ${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)}; ` +
      `all of them together ${(sum(costs.ours) / sum(costs.bare)).toFixed(2)}; ` +
      `the least of each ${(Math.min(...costs.ours) / Math.min(...costs.bare)).toFixed(2)})\n\n`,
  );
  await storage.close();
}

/** Measures drains, each between the two halves of as many direct uploads. */
async function draining(client: Client, directory: string): Promise<void> {
  const ratios: number[] = [];
  const costs: number[] = [];
  const beganMs = performance.now();
  while (ratios.length < DRAINS && performance.now() - beganMs < DRAINS_WITHIN_MS) {
    const run = join(directory, `draining-${ratios.length}`);
    const { drained, direct } = await drain(client, run, ratios.length);
    ratios.push(drained.ms / direct.ms);
    costs.push(drained.cpuMs / direct.cpuMs);
    process.stdout.write(
      `drain of ${QUEUED_OBJECTS} queued objects: ${drained.ms.toFixed(0)} ms, direct ` +
        `${direct.ms.toFixed(0)} ms, ${(drained.ms / direct.ms).toFixed(2)}x; CPU of the client ` +
        `${drained.cpuMs.toFixed(0)} ms and ${direct.cpuMs.toFixed(0)} ms\n`,
    );
  }
  process.stdout.write(
    `drains, medians: ${quantile(ratios, 0.5).toFixed(2)}x the time, ` +
      `${quantile(costs, 0.5).toFixed(2)}x the CPU\n`,
  );
}

interface Spent {
  readonly ms: number;
  readonly cpuMs: number;
}

async function spent(work: () => Promise<unknown>): Promise<Spent> {
  const beganMs = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - beganMs, cpuMs: (user + system) / 1_000 };
}

/** Measures the time to deliver all queued writes, and to upload as many directly. */
async function drain(
  client: Client,
  directory: string,
  run: number,
): Promise<{ drained: Spent; direct: Spent }> {
  const inner = supabaseBackend({ client, bucket: BUCKET });
  let isAway = true;
  const storage = createStorage({
    backends: [
      {
        name: inner.name,
        bucket: inner.bucket,
        largeFromBytes: inner.largeFromBytes,
        refuseKey: (key) => inner.refuseKey(key),
        put: async (key, body, options) =>
          isAway ? { kind: 'transient', message: 'away' } : inner.put(key, body, options),
        get: (key, options) => inner.get(key, options),
        head: (key, options) => inner.head(key, options),
        remove: (key, options) => inner.remove(key, options),
        list: (prefix, options) => inner.list(prefix, options),
      },
    ],
    journal: { directory, maxBytes: MAX_BYTES },
    acknowledgeWithinMs: 0,
    freshMs: 0,
    maxConcurrent: IN_FLIGHT,
    circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 100 },
  });
  await storage.ready();
  await inFlight(QUEUED_OBJECTS, (each) => storage.upload(`queued/${run}/${each}`, BODY));
  const half = (name: string): Promise<Spent> =>
    spent(() =>
      inFlight(QUEUED_OBJECTS / 2, async (each) => {
        const key = `direct/${run}/${name}/${each}`;
        const { error } = await client.storage.from(BUCKET).upload(key, BODY);
        if (error !== null) throw error;
      }),
    );
  const first = await half('first');
  isAway = false;
  const drained = await spent(async () => {
    const left = await storage.flush({ deadlineMs: 600_000 });
    if (left > 0) throw new Error(`${left} objects were not delivered`);
  });
  const second = await half('second');
  await storage.close();
  return {
    drained,
    direct: { ms: first.ms + second.ms, cpuMs: first.cpuMs + second.cpuMs },
  };
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length * fraction)] ?? Number.NaN;
}

async function inFlight(count: number, work: (each: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
}
