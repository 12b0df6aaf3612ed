import { type Clock, propertyOf } from '@holdfast/foundation';
import { createDatabase } from '@holdfast/database';
import {
  type Postgres,
  type S3,
  type ServerHandle,
  type StageMode,
  openStage,
} from '@holdfast/stage';
import { Redis } from 'ioredis';

/** The servers that the demo breaks. */
export interface DemoServers {
  readonly mode: StageMode;
  readonly redis: ServerHandle;
  readonly postgres: Postgres;
  readonly s3: S3;
  /** Whether each has a disk of its own, which can be filled. */
  readonly hasDisks: boolean;
  close(): Promise<void>;
}

interface DemoServersOptions {
  readonly mode: StageMode | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Room for an empty Postgres and what the demo writes. */
const DISK_BYTES = 112 * 1_048_576;
/** Few, so that all of them are soon taken; the pool of the demo has 8. */
const MAX_CONNECTIONS = '20';
const COMMAND_TIMEOUT_MS = 2_000;

/** Starts them, with disks of their own where this user may mount. @throws the errors of `openStage` */
export async function openDemoServers(options: DemoServersOptions): Promise<DemoServers> {
  const { mode, clock, signal } = options;
  const stage = {
    ...(mode === undefined ? {} : { mode }),
    // What Redis has acknowledged is on its disk.
    redis: { settings: { appendonly: 'yes', appendfsync: 'always' } },
    postgres: { settings: { max_connections: MAX_CONNECTIONS } },
    s3: true,
    // On a busy machine a disk takes seconds to fill.
    stopTimeoutMs: 20_000,
    clock,
    signal,
  } as const;
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
  if (isRoot) {
    try {
      const opened = await openStage({ ...stage, diskMaxBytes: DISK_BYTES });
      return Object.assign(opened, { hasDisks: true });
    } catch (error) {
      if (propertyOf(error, 'code') !== 'STAGE_FAULT_UNSUPPORTED') throw error;
    }
  }
  return Object.assign(await openStage(stage), { hasDisks: false });
}

/** What stands, such as `Redis 7.0.15`, one for each server. */
export async function describeServers({
  redis,
  postgres,
  s3,
  mode,
}: DemoServers): Promise<string[]> {
  const [redisVersion, postgresVersion] = await Promise.all([
    askRedis(
      redis.url,
      async (client) => /redis_version:(\S+)/.exec(await client.info('server'))?.[1],
    ),
    askPostgres(postgres.primary.url),
  ]);
  // An emulator is not to be taken for the real server.
  const s3Name = mode === 'local' ? "an emulator of S3 (no vendor's server runs here)" : 'RustFS';
  return [
    `Redis ${redisVersion ?? '(version unknown)'} at ${redis.url}`,
    `Postgres ${postgresVersion} at ${postgres.primary.url}`,
    `S3: ${s3Name} at ${s3.url}`,
  ];
}

/** Runs a few commands on a connection of its own. */
export async function askRedis<T>(url: string, ask: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
  });
  // Its commands reject with it.
  client.on('error', () => undefined);
  try {
    return await ask(client);
  } finally {
    client.disconnect();
  }
}

async function askPostgres(url: string): Promise<string> {
  const database = createDatabase({ hosts: url, max: 1 });
  try {
    const { rows } = await database.query('show server_version', [], { idempotent: true });
    return String(rows[0]?.['server_version']).split(' ')[0] ?? '';
  } finally {
    await database.close();
  }
}
