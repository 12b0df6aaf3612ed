/** One connection to Redis whose calls all end in time, for what stands on it as the caches do. */
export type { CacheRedisClient } from './redis/connection/redis-client.ts';
export {
  type PipelineCommand,
  RedisLink,
  RedisUnavailableError,
  isRefusal,
} from './redis/connection/redis-link.ts';
export { type RedisScript, redisScript } from './redis/protocol/redis-script.ts';
