/** The catalog's generations and its lock in Redis, by a client of ioredis 5 or 6. */
export type { CacheRedisClient } from '@holdfast/cache/redis-link';
export {
  type RedisGenerations,
  createRedisGenerations,
} from './generations/redis/redis-generations.ts';
export type { ChunkEvent, RedisGenerationsEvents } from './generations/redis/store-parts.ts';
export type {
  CatalogRedisOptions,
  RebuildRows,
  RedisGenerationsOptions,
} from './generations/redis/options.ts';
export { type RedisLockOptions, createRedisLock } from './lock/redis-lock.ts';
