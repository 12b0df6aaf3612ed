import { type Emitter, createEmitter } from '@holdfast/foundation';
import {
  type CacheLookup,
  type CacheSetOptions,
  type CacheSetResult,
  type MemoryCache,
  type MemoryCacheEvents,
  type MemoryCacheStats,
  memoryCacheEventKinds,
} from '../cache.ts';
import { entryBytes, jittered } from './entry.ts';
import { type EncodedValue, hold, release } from './holding.ts';
import {
  type MemoryCacheOptions,
  type ResolvedMemoryOptions,
  checkKey,
  parseMemoryOptions,
  parseTtl,
} from './memory-options.ts';
import { type EvictionReason, NONE, S3Fifo } from './s3-fifo.ts';

const MISS = { kind: 'miss' } as const;

/**
 * Makes a cache bounded in bytes of memory, which neither a scan nor a loop over more than it holds empties.
 * It has no timer: an entry over its time is removed when it is found.
 * @typeParam T the type of the values
 * @throws InvalidOptionError
 */
export function createMemoryCache<T = unknown>(options?: MemoryCacheOptions): MemoryCache<T> {
  return new BoundedMemoryCache<T>(parseMemoryOptions('createMemoryCache', options));
}

class BoundedMemoryCache<T> implements MemoryCache<T> {
  readonly on: Emitter<MemoryCacheEvents>['on'];
  readonly #options: ResolvedMemoryOptions;
  readonly #events = createEmitter<MemoryCacheEvents>('holdfast:cache', memoryCacheEventKinds);
  readonly #entries: S3Fifo<T | EncodedValue<T>>;
  #hits = 0;
  #misses = 0;
  #sets = 0;
  #evictions = 0;
  #expirations = 0;
  #tooLarge = 0;

  constructor(options: ResolvedMemoryOptions) {
    this.#options = options;
    this.on = this.#events.on;
    this.#entries = new S3Fifo(options, (key, reason) => this.#onEvicted(key, reason));
  }

  get(key: string): T | undefined {
    const slot = this.#find(key);
    return slot === NONE ? undefined : release(this.#entries.valueAt(slot));
  }

  lookup(key: string): CacheLookup<T> {
    const slot = this.#find(key);
    if (slot === NONE) return MISS;
    const expiresInMs = this.#entries.expiresAtMs(slot) - this.#options.clock.now();
    return {
      kind: 'hit',
      value: release(this.#entries.valueAt(slot)),
      expiresInMs: Math.max(0, expiresInMs),
    };
  }

  has(key: string): boolean {
    return this.#entries.find(key, this.#options.clock.now()) !== NONE;
  }

  set(key: string, value: T, options?: CacheSetOptions): CacheSetResult {
    checkKey('set', key);
    const ttlMs = (options === undefined ? undefined : parseTtl(options)) ?? this.#options.ttlMs;
    const { held, bytes: valueBytes } = hold(value, this.#options.hold);
    const bytes = entryBytes(key, valueBytes);
    if (bytes > this.#options.maxEntryBytes) {
      this.#tooLarge += 1;
      this.#entries.delete(key);
      return { kind: 'too-large', bytes };
    }
    this.#sets += 1;
    const nowMs = this.#options.clock.now();
    this.#entries.set(
      key,
      held,
      bytes,
      nowMs + jittered(key, ttlMs, this.#options.ttlJitter),
      nowMs,
    );
    return { kind: 'stored', bytes };
  }

  delete(key: string): boolean {
    return this.has(key) && this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  keys(): string[] {
    return this.#entries.keys();
  }

  getStats(): MemoryCacheStats {
    return {
      entries: this.#entries.size,
      bytes: this.#entries.bytes,
      maxBytes: this.#options.maxBytes,
      hits: this.#hits,
      misses: this.#misses,
      sets: this.#sets,
      evictions: this.#evictions,
      expirations: this.#expirations,
      tooLarge: this.#tooLarge,
    };
  }

  #find(key: string): number {
    const slot = this.#entries.find(key, this.#options.clock.now());
    if (slot === NONE) {
      this.#misses += 1;
    } else {
      this.#hits += 1;
      this.#entries.use(slot);
    }
    return slot;
  }

  #onEvicted(key: string, reason: EvictionReason): void {
    if (reason === 'space') this.#evictions += 1;
    else this.#expirations += 1;
    if (this.#events.hasListeners('evicted')) this.#events.emit('evicted', { key, reason });
  }
}
