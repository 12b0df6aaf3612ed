import {
  type OptionRule,
  InvalidOptionError,
  integer,
  parseOptions,
  string,
} from '@holdfast/foundation';
import {
  type CacheOptions,
  type ResolvedCacheOptions,
  parseCacheOptions,
} from '../loading/cache-options.ts';
import type { CacheRedisClient } from './connection/redis-client.ts';

/** The tier in Redis: its connection, its names and its limits. */
export interface RedisTierOptions {
  /**
   * A `Redis` or `Cluster` of ioredis 5 or 6. It is not used itself: the cache makes two connections of its own by
   * `duplicate()`, and closes them.
   */
  client: CacheRedisClient;
  /**
   * What the processes that share the cache have in common, 1 to 100 characters without braces. All its keys have one
   * hash tag: a cluster keeps a namespace on one node.
   */
  namespace: string;
  /** What the values are, such as `'bundle-3'`: entries of another schema are misses. Default `'1'`. */
  schema?: string;
  /**
   * How long a command may take, in milliseconds. A read that has waited a tenth of it, and four times what Redis takes
   * as a rule, asks the source, and those after it ask the source at once. Default 100.
   */
  timeoutMs?: number;
  /** Commands in a row that fail before Redis is left alone until it answers a probe. Default 3. */
  failureThreshold?: number;
  /**
   * How long answers from memory count as confirmed after Redis was heard last, in milliseconds; then they are marked
   * stale. Default 300.
   */
  leaseMs?: number;
  /**
   * How long a process that asks the source may be silent before another asks it, in milliseconds. One that lives
   * keeps its turn for as long as loading takes. Default 1 000.
   */
  turnMs?: number;
  /** Invalidations that are kept while Redis is away; of more, everything is invalid. Default 10 000. */
  maxPending?: number;
  /** Invalidations that are kept for processes that are away; one that misses more drops its memory. Default 10 000. */
  streamMaxLength?: number;
  /**
   * How long `close` waits for Redis to take the invalidations that are queued, in milliseconds; those that are left
   * are lost, and counted by its result. Default 2 000; 0: not at all.
   */
  drainTimeoutMs?: number;
}

/** Options of `createTieredCache`: those of the cache, and of its tier in Redis. */
export interface TieredCacheOptions extends CacheOptions {
  /** The tier that processes share. */
  redis: RedisTierOptions;
}

const OWNER = 'createTieredCache';
const NAMESPACE = 'a string of 1 to 100 characters without { and }';

const client: OptionRule<CacheRedisClient> = {
  permitted: 'a Redis or Cluster of ioredis',
  parse(value, field, owner) {
    if (isClient(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};
const namespace: OptionRule<string> = {
  permitted: NAMESPACE,
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[^{}]{1,100}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, NAMESPACE);
  },
};

const schema = {
  client,
  namespace,
  schema: string({ maxLength: 200, default: '1' }),
  timeoutMs: integer({ min: 1, max: 60_000, default: 100 }),
  failureThreshold: integer({ min: 1, max: 1_000, default: 3 }),
  leaseMs: integer({ min: 40, max: 60_000, default: 300 }),
  turnMs: integer({ min: 100, max: 3_600_000, default: 1_000 }),
  maxPending: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  streamMaxLength: integer({ min: 100, max: 10_000_000, default: 10_000 }),
  drainTimeoutMs: integer({ min: 0, max: 3_600_000, default: 2_000 }),
};

/** The options of the Redis tier with their defaults. */
export type ResolvedTierOptions = Readonly<Required<RedisTierOptions>>;

/** @throws InvalidOptionError */
export function parseTieredOptions(options: TieredCacheOptions): {
  cache: ResolvedCacheOptions;
  redis: ResolvedTierOptions;
} {
  const { redis, ...rest } = options ?? {};
  return {
    cache: parseCacheOptions(rest, OWNER),
    redis: parseOptions(OWNER, schema, redis, 'redis'),
  };
}

function isClient(value: unknown): value is CacheRedisClient {
  return typeof value === 'object' && value !== null && 'duplicate' in value && 'status' in value;
}
