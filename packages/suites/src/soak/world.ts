import { readdir } from 'node:fs/promises';
import { type Database, createDatabase } from '@holdfast/database';
import type { FaultProxy, FleetServer } from '@holdfast/faults';
import { type Queue, createQueueAdapter } from '@holdfast/queue';
import { createResilienceStack } from '@holdfast/resilience';
import { openStage } from '@holdfast/stage';
import { AOF_ALWAYS, directClient } from '../redis-fixture.ts';
import { withClient } from '../queue-fixture.ts';
import { openStorageFixture } from '../storage/storage-fixture.ts';
import type { Calls } from './calls.ts';
import { type ProcessSample, sampleProcess } from './process-sample.ts';
import { databaseWork, queueWork, rowsOf, stackWork, storageWork } from './work.ts';

/** A service on Redis, Postgres, Supabase and S3, and its load. */
export interface SoakWorld {
  readonly servers: Readonly<Record<string, FleetServer>>;
  /** Puts load on everything until the signal aborts, and resolves when every call has settled. */
  load(until: AbortSignal): Promise<void>;
  /** Waits until everything accepted has arrived; resolves with what is wrong. */
  settle(): Promise<string[]>;
  sample(): Promise<ProcessSample>;
  /** How many calls succeeded, by what was called. */
  counts(): Record<string, number>;
  close(): Promise<void>;
}

const TABLE = 'create table counters (id integer primary key, n integer not null)';
const CONNECTIONS = `select count(*) as n from pg_stat_activity where backend_type = 'client backend'`;

export async function openSoakWorld(): Promise<SoakWorld> {
  const stage = await openStage({ mode: 'local', redis: { settings: AOF_ALWAYS }, postgres: true });
  const objects = await openStorageFixture();
  const { redis, postgres } = stage;
  const directories = [await objects.directory(), await objects.directory()];
  const queue = openQueue(redis.url, directories[0] ?? '');
  const database = openDatabase(postgres.primary.url);
  const storage = await objects.storage({
    directory: directories[1] ?? '',
    requestTimeoutMs: 1_000,
  });
  await database.query(TABLE);
  await database.query('insert into counters values (0, 0)');
  await queue.ready();
  const shutdown = new AbortController();
  const { signal } = shutdown;
  const jobs = queueWork(queue, { signal });
  const works = [
    jobs,
    databaseWork(database, { signal }),
    storageWork(storage, [objects.supabase.direct, objects.s3.direct], { signal }),
    stackWork(openStack(), objects.addresses.s3.url, { signal }),
  ];
  const calls = works.flatMap((work) => Object.entries(work.calls));
  return {
    servers: {
      redis,
      postgres: postgres.primary,
      supabase: fleetServer(objects.supabase.wire),
      s3: fleetServer(objects.s3.wire),
    },
    async load(until) {
      await Promise.all(works.map((work) => work.load(until)));
    },
    settle: async () => (await Promise.all(works.map((work) => work.settle()))).flat(),
    sample: async () => ({
      ...(await sampleServers(redis.url, database)),
      journalFiles: await countFiles(directories),
      unsettled: sum(calls, ({ unsettled }) => unsettled),
      // Last, because the others leave garbage.
      ...sampleProcess(signal),
    }),
    counts: () => ({
      ...Object.fromEntries(calls.map(([name, { succeeded }]) => [name, succeeded])),
      failed: sum(calls, ({ failed }) => failed),
      repeated: jobs.repeated,
    }),
    async close() {
      shutdown.abort();
      await Promise.allSettled([queue.close({ deadlineMs: 2_000 }), database.close()]);
      await objects.close();
      await stage.close();
    },
  };
}

function openQueue(url: string, directory: string): Queue {
  return createQueueAdapter({
    redis: { url },
    fallback: { journal: { directory } },
    commandTimeoutMs: 500,
  });
}

function openDatabase(host: string): Database {
  return createDatabase({
    hosts: [host],
    max: 5,
    acquireTimeoutMs: 1_000,
    queryTimeoutMs: 1_000,
  });
}

function openStack(): ReturnType<typeof createResilienceStack> {
  return createResilienceStack({
    name: 'soak',
    timeoutMs: 1_000,
    retry: { maxAttempts: 2, initialDelayMs: 10, maxDelayMs: 50 },
    circuitBreaker: { failureThreshold: 5, openDurationMs: 200 },
    bulkhead: { maxConcurrent: 4, maxQueueSize: 8, queueTimeoutMs: 500 },
  });
}

function sum(calls: readonly (readonly [string, Calls])[], of: (one: Calls) => number): number {
  return calls.reduce((total, [, one]) => total + of(one), 0);
}

async function sampleServers(
  redisUrl: string,
  database: Database,
): Promise<Pick<ProcessSample, 'redisKeys' | 'redisConnections' | 'postgresConnections'>> {
  const [redisKeys, clients] = await withClient(
    directClient(redisUrl),
    async (client) => [await client.dbsize(), String(await client.client('LIST'))] as const,
  );
  const [row] = await rowsOf(database, CONNECTIONS);
  return {
    redisKeys,
    redisConnections: clients.trim().split('\n').length,
    postgresConnections: Number(row?.['n']),
  };
}

async function countFiles(directories: readonly string[]): Promise<number> {
  const files = await Promise.all(
    directories.map((directory) => readdir(directory, { recursive: true })),
  );
  return files.flat().length;
}

/** A server in this process, broken by its proxy alone. */
function fleetServer(wire: FaultProxy): FleetServer {
  return {
    link: wire,
    kill: async () => wire.faults.apply({ kind: 'down', options: {} }, 'killed'),
    start: () => wire.faults.clear('killed'),
    freeze: async () => wire.faults.apply({ kind: 'silence', options: {} }, 'frozen'),
    thaw: () => wire.faults.clear('frozen'),
  };
}
