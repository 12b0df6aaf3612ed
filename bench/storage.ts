/**
 * Measures the cost of storing a write before sending it: accepting, the healthy path next to bare supabase-js,
 * and the recovery after an outage. Objects have 4 KB; the server is a separate process on the same machine.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStorage, supabaseBackend } from '@holdfast/storage';
import { createMemoryBackend } from '@holdfast/storage/testing';
import { compare, table } from './measuring/measure.ts';
import { compareCpu } from './storage/cpu.ts';
import { BUCKET, type Servers, openServers } from './storage/servers.ts';

const BODY = Buffer.alloc(4_096, 'x');
const IN_FLIGHT = 50;
const ROUNDS = 3;
/** One of `accepting`, `healthy`, `draining`. Default: all. */
const ROW = process.env['BENCH_ROW'];
const DRAINS = 3;
/** No drain starts after this time. */
const DRAINS_WITHIN_MS = 30_000;
const QUEUED_OBJECTS = Number(process.env['BENCH_QUEUED_OBJECTS'] ?? 10_000);
const MAX_BYTES = 64 * 2 ** 30;

/** What the rows share. */
interface Bench {
  readonly servers: Servers;
  readonly directory: string;
}

await measureAll();

async function measureAll(): Promise<void> {
  const servers = await openServers();
  const directory = await mkdtemp(
    join(process.env['BENCH_DIRECTORY'] ?? tmpdir(), 'holdfast-bench-'),
  );
  try {
    for (const [name, row] of Object.entries({ accepting, healthy, draining })) {
      if (ROW === undefined || ROW === name) await row({ servers, directory });
    }
  } finally {
    await servers.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Measures a durable write while no backend answers, next to a file that is not even synced. */
async function accepting({ directory }: Bench): Promise<void> {
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

/** Compares CPU with the bare clients; `BENCH_CASE` is a part of the names of its rows. */
function healthy({ servers, directory }: Bench): Promise<void> {
  return compareCpu(servers, directory, process.env['BENCH_CASE']);
}

/** Measures drains, each between the two halves of as many direct uploads. */
async function draining({ servers, directory }: Bench): Promise<void> {
  const ratios: number[] = [];
  const costs: number[] = [];
  const beganMs = performance.now();
  while (ratios.length < DRAINS && performance.now() - beganMs < DRAINS_WITHIN_MS) {
    const run = join(directory, `draining-${ratios.length}`);
    const { drained, direct } = await drain(servers.supabase, run, ratios.length);
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
  client: Servers['supabase'],
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
