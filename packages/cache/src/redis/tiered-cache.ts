import { type Emitter, createEmitter } from '@holdfast/foundation';
import {
  type CacheAnswer,
  type CacheEntryOptions,
  type CacheEvents,
  type CacheLoad,
  type CacheLoadOptions,
  type CacheVerification,
  type CacheWarmOptions,
  type CacheWarmResult,
  type TieredCache,
  type TieredCacheStats,
  type TieredCloseResult,
  type TieredDeleteResult,
  type TieredInvalidationResult,
  type TieredSetResult,
  cacheEventKinds,
} from '../cache.ts';
import { CacheClosedError } from '../errors.ts';
import { parseEntryOptions } from '../loading/cache-options.ts';
import { LoadingCache } from '../loading/create-cache.ts';
import { RedisTier } from './redis-tier.ts';
import { type TieredCacheOptions, parseTieredOptions } from './tier-options.ts';

/**
 * Makes a cache in front of a source that processes share through Redis. While Redis is away, each process goes on with
 * its memory and the source.
 * @typeParam T the type of the values
 * @throws InvalidOptionError
 */
export function createTieredCache<T = unknown>(options: TieredCacheOptions): TieredCache<T> {
  return new MemoryAndRedis<T>(parseTieredOptions(options));
}

class MemoryAndRedis<T> implements TieredCache<T> {
  readonly on: Emitter<CacheEvents>['on'];
  readonly #memory: LoadingCache<T>;
  readonly #tier: RedisTier<T>;
  #closing: Promise<TieredCloseResult> | undefined;

  constructor({ cache, redis }: ReturnType<typeof parseTieredOptions>) {
    const events = createEmitter<CacheEvents>('holdfast:cache', cacheEventKinds);
    this.on = events.on;
    this.#tier = new RedisTier<T>({
      cache,
      redis,
      events,
      forgetKey: (key) => this.#memory.forget(key),
      forgetTag: (tag) => this.#memory.invalidateTag(tag),
      forgetAll: () => this.#memory.clear(),
    });
    this.#memory = new LoadingCache<T>(cache, events, this.#tier);
  }

  peek(key: string): CacheAnswer<T> | undefined {
    return this.#memory.get(key);
  }

  async get(key: string): Promise<CacheAnswer<T> | undefined> {
    const held = this.#memory.get(key);
    if (held?.isStale === false) return held;
    await this.#opened();
    return (await this.#memory.find(key)) ?? held;
  }

  async getOrLoad(
    key: string,
    load: CacheLoad<T>,
    options?: CacheLoadOptions,
  ): Promise<CacheAnswer<T>> {
    await this.#opened();
    return this.#memory.getOrLoad(key, load, options);
  }

  async set(key: string, value: T, options: CacheEntryOptions = {}): Promise<TieredSetResult> {
    const { kind: memory, bytes } = this.#memory.set(key, value, options);
    await this.#opened();
    if (memory === 'too-large') {
      const redis = await this.#tier.writer.invalidate({ kind: 'key', key });
      return { memory, bytes, redis: redis === 'stored' ? 'refused' : redis };
    }
    const redis = await this.#tier.writer.set(key, value, parseEntryOptions(options));
    return { memory, bytes, redis };
  }

  async delete(key: string): Promise<TieredDeleteResult> {
    const memory = this.#memory.delete(key);
    await this.#opened();
    return { memory, redis: await this.#tier.writer.invalidate({ kind: 'key', key }) };
  }

  async invalidateTag(tag: string): Promise<TieredInvalidationResult> {
    this.#checkOpen();
    this.#memory.invalidateTag(tag);
    await this.#opened();
    return { redis: await this.#tier.writer.invalidate({ kind: 'tag', tag }) };
  }

  async clear(): Promise<TieredInvalidationResult> {
    this.#checkOpen();
    this.#memory.clear();
    await this.#opened();
    return { redis: await this.#tier.writer.invalidate({ kind: 'all' }) };
  }

  async warm(
    keys: Iterable<string>,
    load: (key: string, signal: AbortSignal) => T | PromiseLike<T>,
    options?: CacheWarmOptions,
  ): Promise<CacheWarmResult> {
    await this.#opened();
    return this.#memory.warm(keys, load, options);
  }

  async verify(
    key: string,
    load: CacheLoad<T>,
    options?: CacheLoadOptions,
  ): Promise<CacheVerification> {
    await this.#opened();
    const verification = await this.#memory.verify(key, load, options);
    // The others get it from the source.
    if (verification.kind === 'drifted') await this.#tier.writer.invalidate({ kind: 'key', key });
    return verification;
  }

  getStats(): TieredCacheStats {
    return { ...this.#memory.getStats(), redis: this.#tier.getStats() };
  }

  close(): Promise<TieredCloseResult> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<TieredCloseResult> {
    await this.#memory.close();
    // So do the calls that were made before.
    await this.#opened();
    return { lostInvalidations: await this.#tier.close() };
  }

  /** @throws CacheClosedError: a change would wait for a connection that is not made any more. */
  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheClosedError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #opened(): Promise<void> {
    if (!this.#tier.isOpened) await this.#tier.open();
  }
}
