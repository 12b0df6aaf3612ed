import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { type Backup, createBackup } from '../backup/backup.ts';
import { createCatalogClient } from '../client/create-catalog-client.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import type { SyncLock } from '../lock/sync-lock.ts';
import { createCatalog } from '../serving/create-catalog.ts';
import { createRowRebuilder } from '../serving/rebuild-rows.ts';
import { createCatalogSync } from '../sync/create-catalog-sync.ts';
import type { TierConfiguration, Invocation } from './configuration.ts';
import type { OpenedTiers } from './context.ts';
import { CatalogUsageError } from './errors.ts';

const HOUR_MS = 3_600_000;
const TTL_MS = 30 * 24 * HOUR_MS;
/** A command that ends when it has its answer can wait longer for a tier than a server. */
const PATIENT = { cacheMs: 3_000, databaseMs: 3_000 };

type Closable = { close(): unknown };

/**
 * Opens what the configuration names. Servers are connected to when they are needed.
 * @throws CatalogUsageError; InvalidOptionError; the system's own error when the directory cannot be made
 */
export async function openTiers(invocation: Invocation): Promise<OpenedTiers> {
  const { connections, command, syncEveryHours } = invocation;
  const opened: Closable[] = [];
  const keep = <T extends Closable>(closable: T): T => {
    opened.push(closable);
    return closable;
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(opened.toReversed().map(async (each) => each.close()));
  };
  try {
    await mkdir(connections.directory, { recursive: true });
    const backup = createBackup({ directory: join(connections.directory, 'backup') });
    const database = await openDatabase(invocation, keep);
    const cache = await openCache(connections, { backup, database }, keep);
    const stores = [cache, database].filter((store) => store !== undefined);
    const maySync = command === 'sync' || command === 'serve';
    const sync = maySync ? await openSync(invocation, { stores, backup }, keep) : undefined;
    return {
      sync,
      manifests: [
        ...stores.map((store) => ({
          tier: store.name,
          read: (signal: AbortSignal) => store.current({ signal }),
        })),
        { tier: 'backup', read: (signal) => manifestOf(backup, signal) },
      ],
      ttlMs: TTL_MS,
      openCatalog: (canSync) =>
        createCatalog({
          ...(canSync && sync !== undefined ? { api: sync } : {}),
          ...(cache === undefined ? {} : { cache }),
          ...(database === undefined ? {} : { database }),
          backup,
          ttlMs: TTL_MS,
          refreshEveryMs: syncEveryHours * HOUR_MS,
          ...(command === 'serve' ? {} : { deadlines: PATIENT }),
        }),
      loadService: async () => {
        const { createCatalogService } = await load(
          'serve',
          'fastify prom-client',
          () => import('../service/create-catalog-service.ts'),
        );
        return createCatalogService;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Somebody waits for what reads; what publishes has the limits of the stores. */
function limitsOf(command: Invocation['command']): { readonly timeoutMs?: number } {
  return command === 'search' || command === 'status' ? { timeoutMs: PATIENT.databaseMs } : {};
}

type Keep = <T extends Closable>(closable: T) => T;

async function openDatabase(
  { command, connections: { databaseUrl, supabase, prefix } }: Invocation,
  keep: Keep,
): Promise<GenerationStore | undefined> {
  if (supabase !== undefined) {
    const { createSupabaseGenerations } =
      await import('../generations/supabase/supabase-generations.ts');
    return keep(createSupabaseGenerations({ ...supabase, prefix, ...limitsOf(command) }));
  }
  if (databaseUrl === undefined) return undefined;
  const { createPostgresGenerations } = await load(
    '--database',
    '@holdfast/database pg',
    () => import('../generations/postgres/postgres-generations.ts'),
  );
  return keep(createPostgresGenerations({ url: databaseUrl, prefix, ...limitsOf(command) }));
}

async function openCache(
  { redisUrl, prefix }: TierConfiguration,
  { backup, database }: { backup: Backup; database: GenerationStore | undefined },
  keep: Keep,
): Promise<GenerationStore | undefined> {
  if (redisUrl === undefined) return undefined;
  const { createRedisGenerations } = await load(
    '--redis',
    'ioredis',
    () => import('../generations/redis/redis-generations.ts'),
  );
  const rebuild = keep(
    createRowRebuilder({ backup, ...(database === undefined ? {} : { database }) }),
  );
  return keep(createRedisGenerations({ url: redisUrl, prefix, ttlMs: TTL_MS, rebuild }));
}

async function openSync(
  { command, connections }: Invocation,
  { stores, backup }: { stores: readonly GenerationStore[]; backup: Backup },
  keep: Keep,
): Promise<OpenedTiers['sync']> {
  const { apiKey, apiUrl } = connections;
  if (apiKey === undefined) return undefined;
  const client = keep(
    createCatalogClient({
      apiKey,
      // Who names a server of their own may name a private one.
      ...(apiUrl === undefined ? {} : { baseUrl: apiUrl, fetch: (url, init) => fetch(url, init) }),
    }),
  );
  const lock = keep(await openLock(connections));
  // Without a lock that others see, the directory of the pages is the lock.
  const pages = lock === directoryLock || command === 'sync' ? 'pages' : `pages-of-${command}`;
  const directory = join(connections.directory, pages);
  return keep(createCatalogSync({ client, lock, directory, stores, backup }));
}

async function openLock({
  redisUrl,
  databaseUrl,
  supabase,
  prefix,
}: TierConfiguration): Promise<SyncLock> {
  if (redisUrl !== undefined) {
    const { createRedisLock } = await import('../lock/redis-lock.ts');
    return createRedisLock({ url: redisUrl, prefix });
  }
  if (databaseUrl !== undefined) {
    const { createPostgresLock } = await import('../lock/postgres-lock.ts');
    return createPostgresLock({ url: databaseUrl, prefix });
  }
  if (supabase === undefined) return directoryLock;
  const remedy = 'Add --redis, or use the connection of its Postgres as --database';
  throw new CatalogUsageError('a sync into Supabase has no lock', remedy);
}

/**
 * For a catalog on one machine alone: its directory admits one process, and the backup in it knows the highest token.
 */
const directoryLock: SyncLock = {
  name: 'directory',
  acquire: async ({ above = 0 } = {}) => ({
    token: above + 1,
    signal: new AbortController().signal,
    release: async () => {},
  }),
  close: async () => {},
};

async function manifestOf(
  backup: Backup,
  signal: AbortSignal,
): ReturnType<GenerationStore['current']> {
  if ((await backup.newest()) === undefined) return undefined;
  const reader = await backup.open({ signal });
  await reader.close();
  return reader.manifest;
}

/** Imports what stands on optional packages. */
async function load<T>(wanted: string, packages: string, importing: () => Promise<T>): Promise<T> {
  try {
    return await importing();
  } catch (error) {
    if (propertyOf(error, 'code') !== 'ERR_MODULE_NOT_FOUND') throw error;
    const remedy = `Install it: npm install ${packages}`;
    throw new CatalogUsageError(`${wanted} needs a package that is not installed`, remedy, error);
  }
}
