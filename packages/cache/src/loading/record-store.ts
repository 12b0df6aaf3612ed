import type { CacheEvents, CacheSetResult, MemoryCacheStats } from '../cache.ts';
import { entryBytes, jittered } from '../memory/entry.ts';
import { hold } from '../memory/holding.ts';
import { NONE, S3Fifo } from '../memory/s3-fifo.ts';
import type { EntryOptions, ResolvedCacheOptions } from './cache-options.ts';
import { type CacheRecord, type ValueRecord, recordBytes } from './records.ts';
import type { EntryTimes, SharedEntry } from './shared-tier.ts';
import { Tags } from './tags.ts';

interface StoreOptions extends EntryOptions {
  readonly loadMs: number;
  /** What `tags.now` was when loading began. Default: now. */
  readonly madeAt?: number;
}

/** How long a value is fresh, and how long it is kept. */
export function entryTimes(
  { memory, ttlMs, staleMs, negativeMs }: ResolvedCacheOptions,
  key: string,
  value: unknown,
  ownTtlMs: number | undefined,
  isLoaded: boolean,
): EntryTimes {
  const chosenMs = value === undefined && isLoaded ? negativeMs : (ownTtlMs ?? ttlMs);
  const freshMs = jittered(key, chosenMs, memory.ttlJitter);
  // That the source has nothing is not worth serving once it may have something.
  return { freshMs, keptMs: freshMs + (value === undefined ? 0 : staleMs) };
}

/** The records in memory, without those whose time is over or whose tags were invalidated. */
export class RecordStore<T> {
  readonly tags: Tags;
  readonly #options: ResolvedCacheOptions;
  readonly #entries: S3Fifo<CacheRecord<T>>;
  #hits = 0;
  #misses = 0;
  #sets = 0;
  #evictions = 0;
  #expirations = 0;
  #tooLarge = 0;

  constructor(options: ResolvedCacheOptions, onEvicted: (event: CacheEvents['evicted']) => void) {
    this.#options = options;
    this.tags = new Tags(options.maxTags);
    this.#entries = new S3Fifo(options.memory, (key, reason) => {
      if (reason === 'space') this.#evictions += 1;
      else this.#expirations += 1;
      onEvicted({ key, reason });
    });
  }

  /** Counts as a read. */
  find(key: string): CacheRecord<T> | undefined {
    const slot = this.#slotOf(key);
    if (slot === NONE) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    this.#entries.use(slot);
    return this.#entries.valueAt(slot);
  }

  peek(key: string): CacheRecord<T> | undefined {
    const slot = this.#slotOf(key);
    return slot === NONE ? undefined : this.#entries.valueAt(slot);
  }

  /**
   * @param isLoaded whether the source has answered it: that it has nothing is then kept for `negativeMs`
   * @throws CacheValueError
   */
  store(key: string, value: T, options: StoreOptions, isLoaded = false): CacheSetResult {
    const times = entryTimes(this.#options, key, value, options.ttlMs, isLoaded);
    return this.#hold(key, { ...options, ...times, value, ageMs: 0 });
  }

  /** Keeps what was found elsewhere, for the rest of its time. */
  adopt(key: string, entry: SharedEntry<T>, madeAt: number): void {
    this.#hold(key, { ...entry, madeAt });
  }

  #hold(key: string, entry: Omit<SharedEntry<T>, 'kind'> & { madeAt?: number }): CacheSetResult {
    const { memory, clock } = this.#options;
    const { held, bytes: valueBytes } = hold(entry.value, memory.hold);
    const storedAtMs = clock.now() - entry.ageMs;
    const record: ValueRecord<T> = {
      kind: 'value',
      held,
      tags: entry.tags,
      madeAt: entry.madeAt ?? this.tags.now,
      storedAtMs,
      freshUntilMs: storedAtMs + entry.freshMs,
      loadMs: entry.loadMs,
      failures: 0,
      error: undefined,
      refreshAtMs: 0,
    };
    return this.#put(key, record, valueBytes, entry.keptMs);
  }

  storeFailure(key: string, error: unknown, options: EntryOptions & { madeAt: number }): void {
    const { clock, negativeMs } = this.#options;
    const nowMs = clock.now();
    const { tags, madeAt } = options;
    const times = { storedAtMs: nowMs, freshUntilMs: nowMs + negativeMs };
    this.#put(key, { kind: 'failure', error, tags, madeAt, ...times }, 0, negativeMs);
  }

  delete(key: string): boolean {
    return this.#slotOf(key) !== NONE && this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  getStats(): MemoryCacheStats {
    return {
      entries: this.#entries.size,
      bytes: this.#entries.bytes,
      maxBytes: this.#options.memory.maxBytes,
      hits: this.#hits,
      misses: this.#misses,
      sets: this.#sets,
      evictions: this.#evictions,
      expirations: this.#expirations,
      tooLarge: this.#tooLarge,
    };
  }

  #slotOf(key: string): number {
    const slot = this.#entries.find(key, this.#options.clock.now());
    if (slot === NONE || this.tags.isValid(this.#entries.valueAt(slot))) return slot;
    this.#entries.delete(key);
    return NONE;
  }

  #put(key: string, record: CacheRecord<T>, valueBytes: number, keptMs: number): CacheSetResult {
    const bytes = entryBytes(key, recordBytes(record, valueBytes));
    if (bytes > this.#options.memory.maxEntryBytes) {
      this.#tooLarge += 1;
      this.#entries.delete(key);
      return { kind: 'too-large', bytes };
    }
    this.#sets += 1;
    const { storedAtMs } = record;
    this.#entries.set(key, record, bytes, storedAtMs + keptMs, this.#options.clock.now());
    return { kind: 'stored', bytes };
  }
}
