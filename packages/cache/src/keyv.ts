/**
 * A memory cache in the shape of a Keyv: what calls a `Keyv`, or takes one as a store, keeps its code. Works as the
 * store of `keyv` 5 and 6, and alone.
 */
import { InvalidOptionError, objectWith } from '@holdfast/foundation';
import type { MemoryCache } from './cache.ts';

/** An entry of {@link KeyvStore.setMany}. */
export interface KeyvEntry {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number;
}

/** The methods of a Keyv. Times are relative, in milliseconds. */
export interface KeyvStore {
  /** What `clear` is limited to: keys that begin with it and a colon. `Keyv` 5 sets it to its own. */
  namespace?: string | undefined;
  /** What `Keyv` 5 reads of every store. */
  readonly opts: { readonly url: string };
  get(key: string): Promise<unknown>;
  getMany(keys: readonly string[]): Promise<unknown[]>;
  /**
   * @param ttl `undefined` or 0: that of the cache, which has no entry without an end
   * @returns whether the value is kept
   * @throws CacheValueError, InvalidOptionError
   */
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  setMany(entries: readonly KeyvEntry[]): Promise<boolean[]>;
  has(key: string): Promise<boolean>;
  hasMany(keys: readonly string[]): Promise<boolean[]>;
  delete(key: string): Promise<boolean>;
  deleteMany(keys: readonly string[]): Promise<boolean[]>;
  clear(): Promise<void>;
  /** Does nothing: there is no connection, and the cache belongs to the caller. */
  disconnect(): Promise<void>;
  /** @param namespace only keys that begin with it and a colon */
  iterator(namespace?: string): AsyncGenerator<[string, unknown], void>;
  /** A memory cache has no errors to report; for compatibility. */
  on(event: string, listener: (...args: unknown[]) => void): KeyvStore;
}

const memoryCache = objectWith<MemoryCache>(['lookup', 'set', 'delete', 'has', 'keys', 'clear']);

/**
 * A memory cache with the methods of a Keyv, and as a store for it.
 * @throws InvalidOptionError
 */
export function createKeyvStore(given: MemoryCache): KeyvStore {
  const cache = memoryCache.parse(given, 'cache', 'createKeyvStore');
  const set = (key: string, value: unknown, ttl: number | undefined): boolean => {
    const options = ttl === undefined || ttl === 0 ? undefined : { ttlMs: checked(ttl) };
    return cache.set(key, value, options).kind === 'stored';
  };
  const keysOf = (namespace: string | undefined): string[] =>
    cache.keys().filter((key) => namespace === undefined || key.startsWith(`${namespace}:`));
  const store: KeyvStore = {
    opts: { url: '' },
    get: async (key) => cache.get(key),
    getMany: async (keys) => keys.map((key) => cache.get(key)),
    set: async (key, value, ttl) => set(key, value, ttl),
    setMany: async (entries) => entries.map(({ key, value, ttl }) => set(key, value, ttl)),
    has: async (key) => cache.has(key),
    hasMany: async (keys) => keys.map((key) => cache.has(key)),
    delete: async (key) => cache.delete(key),
    deleteMany: async (keys) => keys.map((key) => cache.delete(key)),
    async clear() {
      if (store.namespace === undefined) cache.clear();
      else for (const key of keysOf(store.namespace)) cache.delete(key);
    },
    async disconnect() {},
    async *iterator(namespace) {
      for (const key of keysOf(namespace)) {
        const found = cache.lookup(key);
        if (found.kind === 'hit') yield [key, found.value];
      }
    },
    on: () => store,
  };
  return store;
}

function checked(ttl: number): number {
  if (ttl > 0) return ttl;
  throw new InvalidOptionError('set', 'ttl', ttl, 'a time in milliseconds over 0');
}
