import {
  type Backup,
  type Catalog,
  type CatalogClient,
  type CatalogOptions,
  type GenerationStore,
  type RowRebuilder,
  type SyncLock,
  createBackup,
  createCatalog,
  createCatalogClient,
  createRowRebuilder,
} from '@holdfast/catalog';
import { createPostgresGenerations, createPostgresLock } from '@holdfast/catalog/postgres';
import { createRedisGenerations, createRedisLock } from '@holdfast/catalog/redis';
import { type EsimGoServer, createEsimGoServer } from '@holdfast/emulators/esim-go';
import { type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The stores and the lock of one process. */
export interface Tiers {
  readonly cache: GenerationStore;
  readonly database: GenerationStore;
  readonly lock: SyncLock;
}

interface TierTimeouts {
  readonly cacheMs?: number;
  readonly databaseMs?: number;
  /** Where the lock is. Default `postgres`. */
  readonly lock?: 'postgres' | 'redis';
  /** What rebuilds the chunks of Redis beside the database. */
  readonly backup?: Backup;
}

/** A real Redis and Postgres, the emulated API, and the catalogs on them. */
export interface TiersFixture {
  readonly mode: StageMode;
  readonly redis: ServerHandle;
  readonly postgres: ServerHandle;
  readonly admin: Redis;
  readonly api: EsimGoServer;
  readonly client: CatalogClient;
  /** Begins with a cache and a database that have nothing. */
  renew(): void;
  /** Of the keys and tables since then. */
  prefix(): string;
  /** Those of another process with each call. */
  tiers(timeouts?: TierTimeouts): Tiers;
  /** The same cache without anything that rebuilds its chunks. */
  bareCache(): GenerationStore;
  /** A directory of its own. */
  directory(): string;
  backup(directory: string): Backup;
  /** A catalog with all tiers, but those that are given instead. */
  catalog(
    tiers: Pick<Tiers, 'cache' | 'lock'> & Partial<Tiers>,
    options?: Partial<CatalogOptions>,
  ): Catalog;
  /** Closes the stores and locks. */
  closeTiers(): Promise<void>;
  close(): Promise<void>;
}

/** A client of the emulated API, with the platform's own fetch. */
export function clientOf({ apiKey, baseUrl }: EsimGoServer): CatalogClient {
  return createCatalogClient({ apiKey, baseUrl, fetch });
}

interface Closable {
  close(): unknown;
}

export const TIER_ROWS = 200;

export async function openTiersFixture(rows: number = TIER_ROWS): Promise<TiersFixture> {
  const stage = await openStage({ redis: true, postgres: true });
  const { redis } = stage;
  const postgres = stage.postgres.primary;
  const admin = new Redis(redis.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
  const api = await createEsimGoServer({ rows, rateLimit: false });
  const client = clientOf(api);
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-catalog-'));
  const opened: Closable[] = [];
  let [directories, catalogs] = [0, 0];
  const added = <T extends Closable>(item: T): T => {
    opened.push(item);
    return item;
  };
  const closeTiers = async (): Promise<void> => {
    for (const item of opened.splice(0).toReversed()) await item.close();
  };
  const prefix = (): string => `catalog_${catalogs}`;
  const directory = (): string => join(parent, `${(directories += 1)}`);
  return {
    mode: stage.mode,
    redis,
    postgres,
    admin,
    api,
    client,
    renew: () => void (catalogs += 1),
    prefix,
    tiers({ cacheMs = 10_000, databaseMs = 10_000, lock = 'postgres', backup } = {}) {
      const ofPostgres = { url: postgres.url, prefix: prefix(), timeoutMs: databaseMs };
      const ofRedis = { url: redis.url, prefix: prefix(), timeoutMs: cacheMs };
      const database = added(createPostgresGenerations(ofPostgres));
      const rebuild: RowRebuilder = added(
        createRowRebuilder({ database, ...(backup === undefined ? {} : { backup }) }),
      );
      return {
        database,
        cache: added(createRedisGenerations({ ...ofRedis, rowsPerChunk: 20, rebuild })),
        lock: added(lock === 'redis' ? createRedisLock(ofRedis) : createPostgresLock(ofPostgres)),
      };
    },
    bareCache: () => added(createRedisGenerations({ url: redis.url, prefix: prefix() })),
    directory,
    backup: (within) => createBackup({ directory: within }),
    catalog: (tiers, options = {}) =>
      createCatalog({ api: client, directory: directory(), ...tiers, ...options }),
    closeTiers,
    async close() {
      await closeTiers();
      await client.close();
      await api.close();
      admin.disconnect();
      await stage.close();
      await rm(parent, { recursive: true, force: true });
    },
  };
}
