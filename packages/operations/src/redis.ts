/** Rate limits that instances share through Redis, by the client `ioredis`. */
export {
  type RedisRateClient,
  type RedisRateStoreOptions,
  redisRateStore,
} from './limiter/redis/redis-rate-store.ts';
