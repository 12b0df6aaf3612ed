/**
 * Answers that are kept, so that a slow or missing source is asked less. The memory tier is bounded in bytes, keeps
 * what is used, and returns every value as it was stored; a cache over it asks the source once for all callers, and
 * serves what it has while the source is slow or gone.
 */
export type {
  Cache,
  CacheAnswer,
  CacheEntryOptions,
  CacheEvents,
  CacheLoad,
  CacheLoadOptions,
  CacheLookup,
  CacheSetOptions,
  CacheSetResult,
  CacheStats,
  CacheVerification,
  CacheWarmOptions,
  CacheWarmResult,
  MemoryCache,
  MemoryCacheEvents,
  MemoryCacheStats,
} from './cache.ts';
export {
  CacheClosedError,
  CacheLoadTimeoutError,
  CacheValueError,
  GenerationEndedError,
  GenerationTooLargeError,
} from './errors.ts';
export { createCache } from './loading/create-cache.ts';
export type { CacheOptions } from './loading/cache-options.ts';
export { createMemoryCache } from './memory/memory-cache.ts';
export type { MemoryCacheOptions } from './memory/memory-options.ts';
export type { HoldMode } from './memory/holding.ts';
export {
  type Generation,
  type GenerationDraft,
  type GenerationEvents,
  type Generations,
  type GenerationsOptions,
  createGenerations,
} from './generations/generations.ts';
