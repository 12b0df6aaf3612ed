/**
 * What a cache promises:
 *
 * - Value: what is read is what was stored, of the same types, or `set` refuses it by the path of the part.
 * - Presence: a stored `undefined`, `null`, `0` or `''` is a hit; `lookup` tells it from a miss.
 * - Bound: never above `maxBytes` of memory once `set` has returned.
 * - Age: nothing is read after its time, by the monotonic clock.
 * - Loss: any entry may be gone at any time; a cache keeps nothing that has no source.
 */
import type { EventKinds, Subscribe } from '@holdfast/foundation';

/** What a reader finds under a key. */
export type CacheLookup<T> =
  | { readonly kind: 'hit'; readonly value: T; readonly expiresInMs: number }
  | { readonly kind: 'miss' };

/** What became of a `set`: a value over `maxEntryBytes` is not kept, nor is what the key held before. */
export interface CacheSetResult {
  readonly kind: 'stored' | 'too-large';
  /** The memory that the entry takes, key and index included. */
  readonly bytes: number;
}

/** Options of one `set` of a memory cache. */
export interface CacheSetOptions {
  /** How long the value may be read, in milliseconds; jitter shortens it. Default: the cache's `ttlMs`. */
  ttlMs?: number;
}

/** The events of a memory cache, by name. */
export interface MemoryCacheEvents {
  /** An entry left for want of space, or was found after its time. */
  evicted: { readonly key: string; readonly reason: 'space' | 'expired' };
}

export const memoryCacheEventKinds: EventKinds<MemoryCacheEvents> = { evicted: true };

/** What a memory cache holds, and what it has counted since it was made. */
export interface MemoryCacheStats {
  readonly entries: number;
  /** The memory that the entries take; at most `maxBytes`. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  /** Entries that left for want of space. */
  readonly evictions: number;
  /** Entries that were found after their time. */
  readonly expirations: number;
  /** Values that were not kept for their size. */
  readonly tooLarge: number;
}

/** A cache in this process. Keys are strings of 1 to 4 096 characters; `__proto__` is one like any other. */
export interface MemoryCache<T = unknown> {
  readonly on: Subscribe<MemoryCacheEvents>;
  /** The value, or `undefined` for a miss; {@link lookup} tells a stored `undefined` from it. */
  get(key: string): T | undefined;
  lookup(key: string): CacheLookup<T>;
  /** Whether there is an entry; counts as neither hit nor use. */
  has(key: string): boolean;
  /** @throws CacheValueError, InvalidOptionError */
  set(key: string, value: T, options?: CacheSetOptions): CacheSetResult;
  /** Whether there was an entry. */
  delete(key: string): boolean;
  clear(): void;
  /** The keys of all entries, some of which may be over their time. */
  keys(): string[];
  getStats(): MemoryCacheStats;
}

/** An answer, and how far it can be relied on. */
export interface CacheAnswer<T> {
  readonly value: T;
  /** `source`: loaded for this call, or for one that it joined. `redis`: as another process has stored it. */
  readonly from: 'memory' | 'redis' | 'source';
  /** Over its TTL: the source is asked, or has failed. With Redis also: it may have changed elsewhere unnoticed. */
  readonly isStale: boolean;
  /** How long ago it was loaded or set, in milliseconds. */
  readonly ageMs: number;
  /** Why a stale answer has not been replaced, if loading has failed. */
  readonly error?: unknown;
}

/** Asks the source. The signal aborts at the deadline, and when no caller waits any more. */
export type CacheLoad<T> = (signal: AbortSignal) => T | PromiseLike<T>;

/** Options of an entry. */
export interface CacheEntryOptions {
  /** How long the value is fresh, in milliseconds; jitter shortens it. Default: the cache's `ttlMs`. */
  ttlMs?: number;
  /** What `invalidateTag` names the entry by; at most 16. */
  tags?: readonly string[];
}

/** Options of one `getOrLoad`. */
export interface CacheLoadOptions extends CacheEntryOptions {
  /** Aborts this call; the source goes on for others, and is aborted with the last. */
  signal?: AbortSignal;
}

/** Options of one `warm`. */
export interface CacheWarmOptions extends CacheEntryOptions {
  /** How many keys are loaded at a time. Default 4. */
  concurrency?: number;
  /** Asked before each key; once it returns true, no more are loaded. Default: never. */
  isOverloaded?: () => boolean;
  /** Ends the warming: keys that have not begun are left out. */
  signal?: AbortSignal;
}

/** What became of the keys of a warming. */
export interface CacheWarmResult {
  readonly loaded: number;
  /** Keys that were fresh already. */
  readonly skipped: number;
  readonly failed: readonly { readonly key: string; readonly error: unknown }[];
  /** Keys that were left out because of `isOverloaded`. */
  readonly left: number;
}

/**
 * What a comparison with the source found. `drifted`: the cached value differed and was replaced. `changed`: the entry
 * changed during the comparison, and was left as it is.
 */
export interface CacheVerification {
  readonly kind: 'consistent' | 'drifted' | 'changed' | 'absent';
}

/** The events of a cache, by name. */
export interface CacheEvents extends MemoryCacheEvents {
  /** A value was loaded. */
  loaded: { readonly key: string; readonly durationMs: number };
  /** The source has failed; `isServed`: a stale answer is served in its place. */
  'load-failed': { readonly key: string; readonly error: unknown; readonly isServed: boolean };
  /** A loaded value was served and not kept, because it would not come back as it is. */
  refused: { readonly key: string; readonly error: unknown };
  /** `verify` found that the cached value was not that of the source. */
  drifted: { readonly key: string };
  /** Entries with the tag are gone. */
  invalidated: { readonly tag: string };
  /** With Redis: invalidations of other processes arrive from now on. */
  'redis-connected': object;
  /** With Redis: they do not arrive, or never have yet; answers from memory are marked stale until they do again. */
  'redis-lost': { readonly error: unknown };
  /** With Redis: it was closed before Redis had taken this many changes; they are lost. */
  'invalidations-lost': { readonly count: number };
  /** With Redis: everything in memory is gone, because invalidations may have been missed. */
  dropped: { readonly reason: 'epoch-changed' | 'stream-trimmed' | 'writes-lost' };
  /** With Redis: an entry was not as it was written; it is deleted, and counts as a miss. */
  damaged: { readonly key: string };
}

export const cacheEventKinds: EventKinds<CacheEvents> = {
  ...memoryCacheEventKinds,
  loaded: true,
  'load-failed': true,
  refused: true,
  drifted: true,
  invalidated: true,
  'redis-connected': true,
  'redis-lost': true,
  'invalidations-lost': true,
  dropped: true,
  damaged: true,
};

/** Numbers of a cache: those of its memory, and of its source. */
export interface CacheStats extends MemoryCacheStats {
  /** Answers over their TTL. */
  readonly staleAnswers: number;
  /** Calls of the source, and those of them that failed. */
  readonly loads: number;
  readonly loadFailures: number;
  /** Calls that joined the load of another. */
  readonly joined: number;
  /** Loads that run now. */
  readonly loading: number;
  /** Calls that were answered with a remembered failure. */
  readonly negativeAnswers: number;
}

/** A cache in front of a source. */
export interface Cache<T = unknown> {
  readonly on: Subscribe<CacheEvents>;
  /** What is cached, fresh or stale; never asks the source. */
  get(key: string): CacheAnswer<T> | undefined;
  /**
   * The cached answer, or that of the source. All callers of a key share one load; a stale answer is served while one
   * call refreshes it, and for as long as the source fails, up to `staleMs`.
   * @throws the error of `load`, the same for all callers and for `negativeMs` after it; CacheLoadTimeoutError,
   * CacheClosedError, InvalidOptionError, the signal's own reason
   */
  getOrLoad(key: string, load: CacheLoad<T>, options?: CacheLoadOptions): Promise<CacheAnswer<T>>;
  /** Stores a value; a load that runs for the key will not replace it. @throws CacheValueError, InvalidOptionError */
  set(key: string, value: T, options?: CacheEntryOptions): CacheSetResult;
  /** Removes an entry; a load that runs for the key will not bring it back. */
  delete(key: string): boolean;
  /** Removes all entries with the tag, by a number: none is searched. */
  invalidateTag(tag: string): void;
  clear(): void;
  /** Loads the keys that are not fresh, each once, a few at a time. @throws InvalidOptionError, the signal's own reason */
  warm(
    keys: Iterable<string>,
    load: (key: string, signal: AbortSignal) => T | PromiseLike<T>,
    options?: CacheWarmOptions,
  ): Promise<CacheWarmResult>;
  /** Compares an entry with the source, and replaces it if they differ. @throws the error of `load` */
  verify(key: string, load: CacheLoad<T>, options?: CacheLoadOptions): Promise<CacheVerification>;
  getStats(): CacheStats;
  /** Aborts the loads that run. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * What became of a change in Redis. `stored`: all processes see it. `queued`: Redis has not answered; it is told as soon
 * as it does, and until then this process does not use what Redis had. Others whose link works serve the older value
 * unmarked until this process is connected again; if it ends before, until the TTL. `refused`: Redis keeps no new value,
 * such as for want of memory; the one before is gone, or queued to go.
 */
export type RedisWrite = 'stored' | 'queued' | 'refused';

/** Whether memory and Redis have taken a value. */
export interface TieredSetResult {
  readonly memory: CacheSetResult['kind'];
  /** The memory that the entry takes in this process. */
  readonly bytes: number;
  readonly redis: RedisWrite;
}

/** Whether Redis has taken an invalidation, and so other processes. */
export interface TieredInvalidationResult {
  readonly redis: Exclude<RedisWrite, 'refused'>;
}

/** What a cache could not hand over before it was closed. */
export interface TieredCloseResult {
  /**
   * Changes that Redis has not taken: other processes may serve what they were to replace until its TTL. Those beyond
   * `maxPending` count as one.
   */
  readonly lostInvalidations: number;
}

/** What a deletion has met. */
export interface TieredDeleteResult extends TieredInvalidationResult {
  /** Whether there was an entry in this process. */
  readonly memory: boolean;
}

/** Numbers of the tier in Redis. */
export interface RedisTierStats {
  /** Whether commands are sent, and invalidations arrive. */
  readonly isConnected: boolean;
  readonly hits: number;
  readonly misses: number;
  /** Entries stored there by this process. */
  readonly writes: number;
  /** Entries that Redis has refused, such as for want of memory. */
  readonly refused: number;
  /** Loaded values that were not stored, because their key or a tag had changed since, or another had the turn. */
  readonly discarded: number;
  /** Entries that were not as they were written. */
  readonly damaged: number;
  /** Commands that were not answered in time, or at all. */
  readonly timeouts: number;
  /** How often all of memory was dropped. */
  readonly drops: number;
  /** Invalidations that wait for Redis. */
  readonly pending: number;
}

/** Numbers of a cache with a tier in Redis. */
export interface TieredCacheStats extends CacheStats {
  readonly redis: RedisTierStats;
}

/**
 * A cache in front of a source, which processes share through Redis. A change takes effect in memory before the call
 * returns its promise; no call waits for Redis for longer than `redis.timeoutMs`.
 */
export interface TieredCache<T = unknown> extends Pick<
  Cache<T>,
  'on' | 'getOrLoad' | 'warm' | 'verify'
> {
  /** What is in the memory of this process, fresh or stale. */
  peek(key: string): CacheAnswer<T> | undefined;
  /** What is cached in memory or in Redis; never asks the source. */
  get(key: string): Promise<CacheAnswer<T> | undefined>;
  /** Rejects with CacheValueError or InvalidOptionError, and then nothing has changed. */
  set(key: string, value: T, options?: CacheEntryOptions): Promise<TieredSetResult>;
  delete(key: string): Promise<TieredDeleteResult>;
  invalidateTag(tag: string): Promise<TieredInvalidationResult>;
  clear(): Promise<TieredInvalidationResult>;
  getStats(): TieredCacheStats;
  /**
   * Aborts the loads that run, refuses further calls with CacheClosedError, and waits for Redis to take what is queued,
   * for `redis.drainTimeoutMs` at most.
   */
  close(): Promise<TieredCloseResult>;
  [Symbol.asyncDispose](): Promise<void>;
}
