/** A cache that processes share through Redis, by a client of ioredis 5 or 6. */
export type {
  RedisTierStats,
  RedisWrite,
  TieredCache,
  TieredCacheStats,
  TieredCloseResult,
  TieredDeleteResult,
  TieredInvalidationResult,
  TieredSetResult,
} from './cache.ts';
export { RedisUnavailableError } from './redis/connection/redis-link.ts';
export type { CacheRedisClient } from './redis/connection/redis-client.ts';
export type { RedisTierOptions, TieredCacheOptions } from './redis/tier-options.ts';
export { createTieredCache } from './redis/tiered-cache.ts';
