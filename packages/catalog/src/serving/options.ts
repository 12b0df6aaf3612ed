import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  callback,
  integer,
  object,
  objectWith,
  optional,
  parseOptions,
  propertyOf,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { Backup } from '../backup/backup.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import type { CatalogClient } from '../client/catalog-client.ts';
import type { SyncLock } from '../lock/sync-lock.ts';
import type { CatalogSync } from '../sync/catalog-sync.ts';
import { createCatalogSync } from '../sync/create-catalog-sync.ts';

/** How long a caller waits for each tier, in milliseconds. */
export interface CatalogDeadlines {
  /** After it the next tier is asked; the sync goes on behind, and its generation is served when it is there. Default 100. */
  readonly apiMs?: number;
  /** To open the cache or read a document; ten times as long for each part of a whole generation. Default 100. */
  readonly cacheMs?: number;
  /** The same of the database. Default 1 000. */
  readonly databaseMs?: number;
  /** The same of the backup; to open it proves all of it. Default 30 000. */
  readonly backupMs?: number;
  /** All tiers together. Default 60 000. */
  readonly totalMs?: number;
}

/** Options of {@link createCatalog}; at least one tier. What is given stays the caller's to close. */
export interface CatalogOptions {
  /**
   * What syncs; or a client, with which it is made and closed here: `lock` and `directory` go with that. Left out where
   * another process syncs.
   */
  readonly api?: CatalogSync | CatalogClient;
  /** Lets one process sync at a time. Needed with a client in `api`. */
  readonly lock?: SyncLock;
  /** For the pages of the syncs of this process alone; made if its parent exists. */
  readonly directory?: string;
  /** Such as Redis. */
  readonly cache?: GenerationStore;
  /** Such as Postgres; it is asked when the cache has no answer. */
  readonly database?: GenerationStore;
  /** Files of this machine, which are asked last. Default: none. */
  readonly backup?: Backup;
  /** The age from which an answer is stale, in milliseconds. Default 30 days. */
  readonly ttlMs?: number;
  /** The age at which a generation is synced anew, at most `ttlMs`. Default 1 day. */
  readonly refreshEveryMs?: number;
  /** How often the stores are asked for the generation of another process, in milliseconds. Default 1 000. */
  readonly pollEveryMs?: number;
  /** How long each tier may take to answer. Default: those of `CatalogDeadlines`. */
  readonly deadlines?: CatalogDeadlines;
  /** The pauses before a failed sync is repeated; the one after a long sync is as long as that. Default 250 to 1 500. */
  readonly retry?: {
    /** The first, in milliseconds. Default 250. */
    readonly initialDelayMs?: number;
    /** The longest, in milliseconds. Default 1 500. */
    readonly maxDelayMs?: number;
  };
  /** How long {@link Catalog.close} waits for what runs, in milliseconds. Default 5 000. */
  readonly closeTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

const DAY_MS = 86_400_000;
const OWNER = 'createCatalog';

const milliseconds = (absent: number): OptionRule<number> =>
  integer({ min: 1, max: 3_650 * DAY_MS, default: absent });

const client = objectWith<CatalogClient>(['fetchBundles']);
const sync = objectWith<CatalogSync>(['run']);
const store = optional(objectWith<GenerationStore>(['current', 'open']));

const apiRule: OptionRule<CatalogSync | CatalogClient> = {
  permitted: 'what createCatalogSync or createCatalogClient returns',
  parse(value, field, owner) {
    const of = propertyOf(value, 'run') === undefined ? client : sync;
    return of.parse(value, field, owner);
  },
};

const schema = {
  api: optional(apiRule),
  lock: optional(objectWith<SyncLock>(['acquire'])),
  directory: optional(string({ maxLength: 4_096 })),
  cache: store,
  database: store,
  backup: optional(objectWith<Backup>(['open'])),
  ttlMs: milliseconds(30 * DAY_MS),
  refreshEveryMs: optional(milliseconds(DAY_MS)),
  pollEveryMs: milliseconds(1_000),
  deadlines: object({
    apiMs: milliseconds(100),
    cacheMs: milliseconds(100),
    databaseMs: milliseconds(1_000),
    backupMs: milliseconds(30_000),
    totalMs: milliseconds(60_000),
  }),
  retry: object({ initialDelayMs: milliseconds(250), maxDelayMs: milliseconds(1_500) }),
  closeTimeoutMs: milliseconds(5_000),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** Options with their defaults. */
export interface CatalogSettings extends Required<Omit<CatalogOptions, Tiers>> {
  /** Made here, and so closed here. */
  readonly ownSync: CatalogSync | undefined;
  readonly sync: CatalogSync | undefined;
  readonly cache: GenerationStore | undefined;
  readonly database: GenerationStore | undefined;
  readonly backup: Backup | undefined;
  readonly deadlines: Required<CatalogDeadlines>;
  readonly retry: Required<NonNullable<CatalogOptions['retry']>>;
}

type Tiers = 'api' | 'lock' | 'directory' | 'cache' | 'database' | 'backup';

type Given = ReturnType<typeof parseOptions<typeof schema>>;

/** @throws InvalidOptionError */
export function parseCatalogOptions(given: CatalogOptions): CatalogSettings {
  const settings = parseOptions(OWNER, schema, given);
  const { api, cache, database, backup, ttlMs, retry } = settings;
  if ([api, cache, database, backup].every((tier) => tier === undefined)) {
    const permitted = 'there, or one of cache, database and backup';
    throw new InvalidOptionError(OWNER, 'api', undefined, permitted);
  }
  const refreshEveryMs = settings.refreshEveryMs ?? Math.min(DAY_MS, ttlMs);
  if (refreshEveryMs > ttlMs) {
    const permitted = `at most ttlMs, ${ttlMs}`;
    throw new InvalidOptionError(OWNER, 'refreshEveryMs', refreshEveryMs, permitted);
  }
  const maxDelayMs =
    propertyOf(given.retry, 'maxDelayMs') === undefined
      ? Math.max(retry.initialDelayMs, retry.maxDelayMs)
      : retry.maxDelayMs;
  if (retry.initialDelayMs > maxDelayMs) {
    const permitted = `at most retry.maxDelayMs, ${maxDelayMs}`;
    throw new InvalidOptionError(OWNER, 'retry.initialDelayMs', retry.initialDelayMs, permitted);
  }
  return {
    ...settings,
    ...syncOf(settings),
    refreshEveryMs,
    retry: { ...retry, maxDelayMs },
  };
}

/** The sync that was given, or one that is made with the client. */
function syncOf({
  api,
  lock,
  directory,
  cache,
  database,
  backup,
  clock,
}: Given): Pick<CatalogSettings, 'sync' | 'ownSync'> {
  if (api === undefined || 'run' in api) return { sync: api, ownSync: undefined };
  if (lock === undefined) {
    throw new InvalidOptionError(OWNER, 'lock', lock, 'there where api is a client');
  }
  if (directory === undefined) {
    throw new InvalidOptionError(OWNER, 'directory', directory, 'there where api is a client');
  }
  const stores = [database, cache].filter((each) => each !== undefined);
  const ownSync = createCatalogSync({ client: api, lock, directory, stores, backup, clock });
  return { sync: ownSync, ownSync };
}
