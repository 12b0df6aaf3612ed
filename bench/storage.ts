/**
 * What it costs to keep a write before sending it: accepting, the healthy path beside bare supabase-js, and
 * the way back after an outage. Objects of 4 KB; the server is a process of its own on the same machine.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { createSupabaseStorageServer } from '../packages/stage/src/index.ts';
import { createStorage, supabaseBackend } from '../packages/storage/src/index.ts';
import { createMemoryBackend } from '../packages/storage/src/testing.ts';
import { compare, table } from './measure.ts';

const BUCKET = 'bench';
const BODY = Buffer.alloc(4_096, 'x');
const IN_FLIGHT = 50;
const ROUNDS = 3;
const HEALTHY_UPLOADS = 1_000;
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
    await accepting(directory);
    await healthy(client, directory);
    await draining(client, directory);
  } finally {
    child.disconnect();
    await once(child, 'exit');
    await rm(directory, { recursive: true, force: true });
  }
}

function connect(url: string, key: string) {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

/** A write that is durable, while no backend answers, beside a file that is not even synced. */
async function accepting(directory: string): Promise<void> {
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

/** CPU of this process for each upload while everything is well; the two in turns. */
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
  const costs: Record<'ours' | 'bare', number[]> = { ours: [], bare: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, upload] of [
      ['bare', bare],
      ['ours', ours],
    ] as const) {
      const before = process.cpuUsage();
      await inFlight(HEALTHY_UPLOADS, (each) => upload(`healthy/${each}`));
      const { user, system } = process.cpuUsage(before);
      // The first round warms up.
      if (round > 0) costs[name].push((user + system) / HEALTHY_UPLOADS);
    }
  }
  const [mine, theirs] = [Math.min(...costs.ours), Math.min(...costs.bare)];
  process.stdout.write(
    `healthy path, CPU of the client: ${mine.toFixed(0)} us an upload, bare supabase-js ` +
      `${theirs.toFixed(0)} us, ${(mine / theirs).toFixed(2)}x\n\n`,
  );
  await storage.close();
}

/** Time until everything queued is delivered, beside the time to upload as much directly. */
async function draining(client: Client, directory: string): Promise<void> {
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
    journal: { directory: join(directory, 'draining'), maxBytes: MAX_BYTES },
    acknowledgeWithinMs: 0,
    freshMs: 0,
    maxConcurrent: IN_FLIGHT,
    circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 100 },
  });
  await storage.ready();
  await inFlight(QUEUED_OBJECTS, (each) => storage.upload(`queued/${each}`, BODY));
  let startedMs = performance.now();
  await inFlight(QUEUED_OBJECTS, async (each) => {
    const { error } = await client.storage.from(BUCKET).upload(`direct/${each}`, BODY);
    if (error !== null) throw error;
  });
  const directMs = performance.now() - startedMs;
  isAway = false;
  startedMs = performance.now();
  const left = await storage.flush({ deadlineMs: 600_000 });
  const drainMs = performance.now() - startedMs;
  if (left > 0) throw new Error(`${left} objects were not delivered`);
  process.stdout.write(
    `drain of ${QUEUED_OBJECTS} queued objects: ${Math.round(drainMs)} ms, direct ` +
      `${Math.round(directMs)} ms, ${(drainMs / directMs).toFixed(2)}x\n`,
  );
  await storage.close();
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
