import type { CacheRedisClient } from '@holdfast/cache/redis-link';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  hideValue,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import type { Bundle, GenerationManifest } from '../../catalog.ts';

/** Which Redis, and where in it. All times in milliseconds. */
export interface CatalogRedisOptions {
  /** `redis://` or `rediss://`; this, or `client`. */
  readonly url?: string;
  /** A `Redis` or `Cluster` of ioredis 5 or 6. It is not used itself: a connection of its own is made by `duplicate()`. */
  readonly client?: CacheRedisClient;
  /**
   * What the processes of one catalog have in common, 1 to 100 characters without braces. All its keys have one hash
   * tag: a cluster keeps them on one node. Default `catalog`.
   */
  readonly prefix?: string;
  /** The longest that one call to Redis may take, also while it is frozen or away. Default 2 000. */
  readonly timeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/**
 * Tells the bundles of some rows of a generation, such as from a backup; `undefined` where they cannot be told. What
 * it rejects with is told as the cause.
 */
export type RebuildRows = (
  manifest: GenerationManifest,
  firstRow: number,
  rows: number,
  signal: AbortSignal,
) => Promise<readonly Bundle[] | undefined>;

/** Options of {@link createRedisGenerations}. */
export interface RedisGenerationsOptions extends CatalogRedisOptions {
  /** What is compressed, checked, fetched and rebuilt at once. Default 500. */
  readonly rowsPerChunk?: number;
  /** How long a generation stays that no other follows. Default 30 days. */
  readonly ttlMs?: number;
  /** How long a generation stays readable after the next one, for those who have opened it. Default 10 minutes. */
  readonly graceMs?: number;
  /** What a generation is expected to need, where the one before was smaller or there was none. Default 8 MiB. */
  readonly reserveBytes?: number;
  /** What is sent at once while a generation is staged; as much again is held meanwhile. Default 1 MiB. */
  readonly pipelineBytes?: number;
  /** Decoded chunks that each reader keeps. Default 8. */
  readonly cachedChunks?: number;
  /** Rebuilds a chunk that is damaged or gone. Default: the reader throws. */
  readonly rebuild?: RebuildRows;
  /** The longest that `rebuild` may take. Default 10 000. */
  readonly rebuildTimeoutMs?: number;
}

const DAY_MS = 86_400_000;
const GIBIBYTE = 1_073_741_824;

const client = objectWith<CacheRedisClient>(['duplicate', 'status']);
const prefix: OptionRule<string> = {
  permitted: 'a string of 1 to 100 characters without { and }',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[^{}]{1,100}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 'catalog',
};

interface RedisRules {
  readonly url: OptionRule<string | undefined>;
  readonly client: OptionRule<CacheRedisClient | undefined>;
  readonly prefix: OptionRule<string>;
  readonly timeoutMs: OptionRule<number>;
  readonly clock: OptionRule<Clock>;
}

/** The rules of {@link CatalogRedisOptions}. */
export const redisRules: RedisRules = {
  url: optional(string({ maxLength: 4_096 })),
  client: optional(client),
  prefix,
  timeoutMs: integer({ min: 1, max: 600_000, default: 2_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const rules = {
  ...redisRules,
  rowsPerChunk: integer({ min: 1, max: 10_000, default: 500 }),
  ttlMs: integer({ min: 100, max: 3_650 * DAY_MS, default: 30 * DAY_MS }),
  graceMs: integer({ min: 100, max: 30 * DAY_MS, default: 600_000 }),
  reserveBytes: integer({ min: 0, max: 1_024 * GIBIBYTE, default: 8_388_608 }),
  pipelineBytes: integer({ min: 1, max: GIBIBYTE, default: 1_048_576 }),
  cachedChunks: integer({ min: 1, max: 10_000, default: 8 }),
  rebuild: optional(callback<RebuildRows>()),
  rebuildTimeoutMs: integer({ min: 1, max: DAY_MS, default: 10_000 }),
};

type Defaulted = Omit<RedisGenerationsOptions, 'url' | 'client' | 'timeoutMs' | 'rebuild'>;

/** The options with their defaults. */
export interface ResolvedRedisGenerationsOptions extends Readonly<Required<Defaulted>> {
  readonly rebuild: RebuildRows | undefined;
  readonly server: CatalogRedisServer;
}

/** @throws InvalidOptionError */
export function parseRedisGenerationsOptions(
  given: RedisGenerationsOptions,
): ResolvedRedisGenerationsOptions {
  const owner = 'createRedisGenerations';
  const resolved = parseOptions(owner, rules, given);
  return { ...resolved, server: serverOf(owner, resolved) };
}

export interface CatalogRedisServer {
  readonly server: { readonly url: string } | { readonly client: CacheRedisClient };
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** @throws InvalidOptionError unless there is a URL or a client */
export function serverOf(
  owner: string,
  given: {
    readonly url: string | undefined;
    readonly client: CacheRedisClient | undefined;
    readonly timeoutMs: number;
    readonly clock: Clock;
  },
): CatalogRedisServer {
  const { url, client: own, timeoutMs, clock } = given;
  if (url !== undefined && own === undefined && /^rediss?:\/\//.test(url)) {
    return { server: { url }, timeoutMs, clock };
  }
  if (own !== undefined && url === undefined) return { server: { client: own }, timeoutMs, clock };
  // A URL may contain a password.
  const seen = url === undefined ? undefined : hideValue(url);
  throw new InvalidOptionError(owner, 'url', seen, 'redis:// or rediss://, or `client` instead');
}
