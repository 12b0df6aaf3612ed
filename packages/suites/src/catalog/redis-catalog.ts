import type { Bundle, GenerationManifest, SyncLock } from '@holdfast/catalog';
import {
  type RedisGenerations,
  type RedisGenerationsOptions,
  type RedisLockOptions,
  createRedisGenerations,
  createRedisLock,
} from '@holdfast/catalog/redis';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { seededRandom, systemClock } from '@holdfast/foundation';
import { type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';

/** A Redis, and the stores and locks of one catalog in it. */
export interface RedisCatalog {
  readonly redis: ServerHandle;
  readonly mode: StageMode;
  readonly admin: Redis;
  /** Of the keys of the catalog that this test has for itself. */
  readonly prefix: string;
  store(options?: RedisGenerationsOptions): RedisGenerations;
  lock(options?: RedisLockOptions): SyncLock;
  /** A fault proxy in front of Redis. */
  link(): Promise<FaultProxy>;
  /** The keys of the catalog that match, without its prefix. */
  keys(pattern?: string): Promise<string[]>;
  /** Closes what was opened, and begins with an empty catalog. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

interface Closable {
  close(): Promise<unknown>;
}

export async function openRedisCatalog(
  settings: Readonly<Record<string, string>> = {},
): Promise<RedisCatalog> {
  const stage = await openStage({ redis: { settings } });
  const { redis } = stage;
  const admin = new Redis(redis.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
  const opened: Closable[] = [];
  let catalogs = 1;
  const prefix = (): string => `catalog-${catalogs}`;
  const added = <T extends Closable>(item: T): T => {
    opened.push(item);
    return item;
  };
  const closeAll = async (): Promise<void> => {
    for (const item of opened.splice(0).toReversed()) await item.close();
  };
  const server = { url: redis.url, timeoutMs: 10_000 };
  return {
    redis,
    mode: stage.mode,
    admin,
    get prefix() {
      return prefix();
    },
    store: (options) =>
      added(
        createRedisGenerations({
          ...server,
          prefix: prefix(),
          rowsPerChunk: 20,
          pipelineBytes: 1,
          ...options,
        }),
      ),
    lock: (options) => added(createRedisLock({ ...server, prefix: prefix(), ...options })),
    async link() {
      const { host, port } = redis;
      return added(await createFaultProxy({ target: { host, port } }));
    },
    async keys(pattern = '*') {
      const base = `{${prefix()}}:`;
      const found = await admin.keys(`${base}${pattern}`);
      return found.map((key) => key.slice(base.length)).toSorted();
    },
    async reset() {
      await closeAll();
      await admin.config('SET', 'maxmemory', '0');
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      await admin.flushall();
      catalogs += 1;
    },
    async close() {
      await closeAll();
      admin.disconnect();
      await stage.close();
    },
  };
}

/** The bundles of a generation, whose price tells which; the same for the same number. */
export function catalogBundles(count: number, generation: number): Bundle[] {
  const random = seededRandom(generation);
  return Array.from({ length: count }, (_, row) => ({
    name: `esim_${row}_V2`,
    description: `eSIM, ${Math.floor(random() * 1_000_000_000)} MB`,
    duration: 1 + (row % 30),
    dataAmount: 1_000 + row,
    unlimited: false,
    price: generation,
    countries: [{ name: 'Andorra', region: 'Europe', iso: 'AD' }],
  }));
}

export function manifestFor(generation: number, token: number, rows: number): GenerationManifest {
  const groups = [{ name: 'Standard Fixed', rows, generation }];
  const syncedAtEpochMs = systemClock.epochMs();
  return { generation, token, rows, syncedAtEpochMs, complete: true, groups };
}

/** Stages and publishes a whole generation. */
export async function publishGeneration(
  store: Pick<RedisGenerations, 'stage'>,
  generation: number,
  { token = generation, rows = 100 }: { readonly token?: number; readonly rows?: number } = {},
): Promise<void> {
  const staged = await store.stage({ generation, token });
  await staged.add(catalogBundles(rows, generation));
  await staged.publish(manifestFor(generation, token, rows));
}
