import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  integer,
  number,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import type { Backup } from '../backup/backup.ts';
import type { CatalogClient } from '../client/catalog-client.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import type { SyncLock } from '../lock/sync-lock.ts';
import { buildIndex } from '../search/build/build-index.ts';

/** Options of {@link createCatalogSync}. What is given stays the caller's to close. All times in milliseconds. */
export interface CatalogSyncOptions {
  /** Fetches the bundles. */
  readonly client: CatalogClient;
  /** Lets one process sync at a time. */
  readonly lock: SyncLock;
  /** For the pages of this process alone; made if its parent exists. */
  readonly directory: string;
  /** In the order in which they get a generation. Default: none, and the generation is in memory only. */
  readonly stores?: readonly GenerationStore[];
  /** Files of this machine that get each generation as well. Default: none. */
  readonly backup?: Backup | undefined;
  /** For how long after its beginning a sync that was interrupted is gone on with. Default 900 000. */
  readonly resumeWithinMs?: number;
  /** The share of its rows, 0 to 1, that a generation may lose. Default 0.1. */
  readonly maxShrinkShare?: number;
  /** Builds the index of a generation. Default: `buildIndex`, in a thread of its own. */
  readonly buildIndex?: typeof buildIndex;
  /** The longest that one call to the disk may take. Default 5 000. */
  readonly ioTimeoutMs?: number;
  /** The file system. Default: that of Node. */
  readonly files?: FileSystem;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

const OWNER = 'createCatalogSync';
const HOUR_MS = 3_600_000;
const store = objectWith<GenerationStore>(['stage', 'current', 'open']);

const storesRule: OptionRule<readonly GenerationStore[]> = {
  permitted: 'a list of stores with names of their own, of which none is `backup`',
  parse(value, field, owner) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    const stores = list.map((each, at) => store.parse(each, `${field}[${at}]`, owner));
    const names = new Set(['backup', ...stores.map(({ name }) => name)]);
    if (Array.isArray(value) && names.size === stores.length + 1) return stores;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [],
};

const schema = {
  client: objectWith<CatalogClient>(['fetchBundles', 'getStats']),
  lock: objectWith<SyncLock>(['acquire']),
  directory: string({ maxLength: 4_096 }),
  stores: storesRule,
  backup: optional(objectWith<Backup>(['write', 'open', 'newest'])),
  resumeWithinMs: integer({ min: 0, max: 24 * HOUR_MS, default: 900_000 }),
  maxShrinkShare: number({ min: 0, max: 1, default: 0.1 }),
  buildIndex: callback<typeof buildIndex>(buildIndex),
  ioTimeoutMs: integer({ min: 10, max: HOUR_MS, default: 5_000 }),
  files: objectWith<FileSystem>(['open', 'list', 'rename', 'readWhole'], nodeFileSystem),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options with their defaults. */
export interface CatalogSyncSettings extends Required<Omit<CatalogSyncOptions, 'backup'>> {
  readonly backup: Backup | undefined;
}

/** @throws InvalidOptionError */
export function parseSyncOptions(given: CatalogSyncOptions): CatalogSyncSettings {
  return parseOptions(OWNER, schema, given);
}
