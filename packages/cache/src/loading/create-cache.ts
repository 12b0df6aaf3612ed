import { type Emitter, abortable, createEmitter, withDeadline } from '@holdfast/foundation';
import { type Coalescer, createCoalescer } from '@holdfast/resilience';
import {
  type Cache,
  type CacheAnswer,
  type CacheEntryOptions,
  type CacheEvents,
  type CacheLoad,
  type CacheLoadOptions,
  type CacheSetResult,
  type CacheStats,
  type CacheVerification,
  type CacheWarmOptions,
  type CacheWarmResult,
  cacheEventKinds,
} from '../cache.ts';
import { CacheClosedError, CacheLoadTimeoutError, CacheValueError } from '../errors.ts';
import { release } from '../memory/holding.ts';
import { checkKey } from '../memory/memory-options.ts';
import {
  type CacheOptions,
  type EntryOptions,
  type ResolvedCacheOptions,
  checkLoad,
  checkTag,
  parseCacheOptions,
  parseEntryOptions,
  parseLoadOptions,
} from './cache-options.ts';
import { RecordStore } from './record-store.ts';
import { type CacheRecord, type ValueRecord, isDueEarly, refreshFailed } from './records.ts';
import type { SharedEntry, SharedTier, SourceTurn } from './shared-tier.ts';
import type { Tagged } from './tags.ts';
import { verifyEntry } from './verify.ts';
import { warmKeys } from './warm.ts';

const NO_OPTIONS: EntryOptions & { readonly signal: undefined } = {
  ttlMs: undefined,
  tags: [],
  signal: undefined,
};

/** How many keys can be loading at a time; further calls ask the source alone, and their answers are not kept. */
const MAX_LOADS = 100_000;

/**
 * Makes a cache in front of a source.
 * @typeParam T the type of the values
 * @throws InvalidOptionError
 */
export function createCache<T = unknown>(options?: CacheOptions): Cache<T> {
  return new LoadingCache<T>(parseCacheOptions(options));
}

/**
 *                 fresh ──▶ answer                              (early: and a refresh)
 *   getOrLoad ──▶ stale ──▶ answer, and a refresh in its time    ('load': the source, else the answer)
 *                 failure remembered ──▶ throw
 *                 none ──▶ the load of the key: one for all callers
 *
 * A load asks the shared tier first, if there is one: what another process has loaded, or the right to ask the source.
 */
export class LoadingCache<T> implements Cache<T> {
  readonly on: Emitter<CacheEvents>['on'];
  readonly #options: ResolvedCacheOptions;
  readonly #events: Emitter<CacheEvents>;
  readonly #records: RecordStore<T>;
  readonly #tier: SharedTier<T> | undefined;
  readonly #loading: Coalescer<CacheAnswer<T>> = createCoalescer({ maxKeys: MAX_LOADS });
  readonly #finding: Coalescer<CacheAnswer<T> | undefined> = createCoalescer({
    maxKeys: MAX_LOADS,
  });
  /** By key, the loads that ask the source now: since when, and for what tags. */
  readonly #asking = new Map<string, Tagged>();
  #staleAnswers = 0;
  #negativeAnswers = 0;
  #loads = 0;
  #loadFailures = 0;
  #isClosed = false;

  constructor(
    options: ResolvedCacheOptions,
    events: Emitter<CacheEvents> = createEmitter<CacheEvents>('holdfast:cache', cacheEventKinds),
    tier?: SharedTier<T>,
  ) {
    this.#options = options;
    this.#events = events;
    this.#tier = tier;
    this.on = this.#events.on;
    this.#records = new RecordStore<T>(options, (event) => this.#events.emit('evicted', event));
  }

  get(key: string): CacheAnswer<T> | undefined {
    this.#check('get', key);
    const record = this.#records.find(key);
    return record?.kind === 'value' ? this.#answer(record) : undefined;
  }

  async getOrLoad(
    key: string,
    load: CacheLoad<T>,
    options?: CacheLoadOptions,
  ): Promise<CacheAnswer<T>> {
    this.#check('getOrLoad', key);
    checkLoad('getOrLoad', load);
    const parsed = options === undefined ? NO_OPTIONS : parseLoadOptions('getOrLoad', options);
    const { signal } = parsed;
    signal?.throwIfAborted();
    const record = this.#records.find(key);
    if (record === undefined) return this.#load(key, load, parsed, signal);
    if (record.kind === 'failure') {
      this.#negativeAnswers += 1;
      throw record.error;
    }
    const nowMs = this.#options.clock.now();
    const { earlyRefresh, random, whenStale } = this.#options;
    const isStale = nowMs >= record.freshUntilMs;
    const isDue = isStale
      ? nowMs >= record.refreshAtMs
      : earlyRefresh > 0 && isDueEarly(record, nowMs, earlyRefresh, random());
    if (!isDue) return this.#answer(record);
    if (isStale && whenStale === 'load') {
      return this.#orStale(this.#load(key, load, parsed, signal), record, signal);
    }
    this.#detachOld(key, parsed.tags);
    // The failure is remembered with the record, and told with the answers.
    if (!this.#loading.has(key)) this.#load(key, load, parsed, undefined).catch(() => undefined);
    return this.#answer(record);
  }

  set(key: string, value: T, options?: CacheEntryOptions): CacheSetResult {
    this.#check('set', key);
    const parsed = options === undefined ? NO_OPTIONS : parseEntryOptions(options);
    const result = this.#records.store(key, value, { ...parsed, loadMs: 0 });
    this.#detach(key);
    return result;
  }

  delete(key: string): boolean {
    this.#check('delete', key);
    this.#detach(key);
    return this.#records.delete(key);
  }

  invalidateTag(tag: string): void {
    checkTag(tag);
    this.#records.tags.invalidate(tag);
    this.#events.emit('invalidated', { tag });
  }

  clear(): void {
    this.#asking.clear();
    this.#loading.detachAll();
    this.#finding.detachAll();
    this.#records.clear();
  }

  async warm(
    keys: Iterable<string>,
    load: (key: string, signal: AbortSignal) => T | PromiseLike<T>,
    options?: CacheWarmOptions,
  ): Promise<CacheWarmResult> {
    checkLoad('warm', load);
    const deps = {
      isFresh: (key: string) => this.get(key)?.isStale === false,
      load: this.#load.bind(this),
    };
    return warmKeys(deps, keys, load, options);
  }

  async verify(
    key: string,
    load: CacheLoad<T>,
    options?: CacheLoadOptions,
  ): Promise<CacheVerification> {
    this.#check('verify', key);
    checkLoad('verify', load);
    const parsed = options === undefined ? NO_OPTIONS : parseLoadOptions('verify', options);
    const { signal = new AbortController().signal } = parsed;
    const found = await verifyEntry(this.#records, key, parsed, () => this.#ask(key, load, signal));
    if (found === 'drifted') {
      this.#detach(key);
      this.#events.emit('drifted', { key });
    }
    return { kind: found };
  }

  getStats(): CacheStats {
    const { inFlight, joinedCount } = this.#loading.getStats();
    return {
      ...this.#records.getStats(),
      staleAnswers: this.#staleAnswers,
      negativeAnswers: this.#negativeAnswers,
      loads: this.#loads,
      loadFailures: this.#loadFailures,
      joined: joinedCount,
      loading: inFlight,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#loading.abortAll(new CacheClosedError());
    this.#finding.abortAll(new CacheClosedError());
    this.#records.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What the processes share under a key, which is kept in memory from then on. */
  async find(key: string): Promise<CacheAnswer<T> | undefined> {
    return this.#finding.execute(key, async (_, isCurrent) => {
      const tier = this.#tier;
      if (tier === undefined) return undefined;
      const { result: entry, madeAt } = await this.#unlessInvalidated(() => tier.find(key));
      return entry === undefined ? undefined : this.#adopt(key, entry, madeAt, isCurrent());
    });
  }

  /** Another process has changed it. */
  forget(key: string): void {
    this.#detach(key);
    this.#records.delete(key);
  }

  #detach(key: string): void {
    this.#asking.delete(key);
    this.#loading.detach(key);
    this.#finding.detach(key);
  }

  /** Who comes after an invalidation does not join a load that asked the source before it. */
  #detachOld(key: string, tags: readonly string[]): void {
    const asking = this.#asking.get(key);
    if (asking === undefined) return;
    const { madeAt } = asking;
    const isValid =
      this.#records.tags.isValid(asking) && this.#records.tags.isValid({ tags, madeAt });
    if (!isValid) this.#detach(key);
  }

  /** What the processes share, asked for again if a tag of it was invalidated meanwhile. */
  async #unlessInvalidated<R extends SharedEntry<T> | SourceTurn<T> | undefined>(
    ask: () => Promise<R>,
  ): Promise<{ result: R; madeAt: number }> {
    for (;;) {
      const madeAt = this.#records.tags.now;
      const result = await ask();
      const tags = result?.kind === 'entry' ? result.tags : [];
      if (this.#records.tags.isValid({ tags, madeAt })) return { result, madeAt };
    }
  }

  #check(owner: string, key: unknown): void {
    if (this.#isClosed) throw new CacheClosedError();
    checkKey(owner, key);
  }

  #answer(record: ValueRecord<T>): CacheAnswer<T> {
    const nowMs = this.#options.clock.now();
    const isConfirmed = this.#tier?.isConfirmed(record.storedAtMs) ?? true;
    const isStale = nowMs >= record.freshUntilMs || !isConfirmed;
    if (isStale) this.#staleAnswers += 1;
    const answer = {
      value: release(record.held),
      from: 'memory',
      isStale,
      ageMs: nowMs - record.storedAtMs,
    } as const;
    return record.failures === 0 ? answer : { ...answer, error: record.error };
  }

  /** The answer of the source, or the stale one with the reason. */
  async #orStale(
    refreshed: Promise<CacheAnswer<T>>,
    record: ValueRecord<T>,
    signal: AbortSignal | undefined,
  ): Promise<CacheAnswer<T>> {
    try {
      return await refreshed;
    } catch (error) {
      if (signal?.aborted === true || this.#isClosed) throw error;
      return this.#answer(record);
    }
  }

  async #load(
    key: string,
    load: CacheLoad<T>,
    options: EntryOptions,
    signal: AbortSignal | undefined,
  ): Promise<CacheAnswer<T>> {
    const work = async (
      loadSignal: AbortSignal,
      isCurrent: () => boolean,
    ): Promise<CacheAnswer<T>> => {
      const acceptsStale =
        this.#options.whenStale === 'serve' && this.#records.peek(key) === undefined;
      const tier = this.#tier;
      const acquired =
        tier && (await this.#unlessInvalidated(() => tier.acquire(key, acceptsStale, loadSignal)));
      const turn = acquired?.result;
      const foundAt = acquired?.madeAt ?? 0;
      if (turn?.kind === 'entry') return this.#adopt(key, turn, foundAt, isCurrent());
      if (turn?.stale !== undefined) this.#adopt(key, turn.stale, foundAt, isCurrent());
      const startMs = this.#options.clock.now();
      // What is invalidated while the source answers is not fresh in what it answers.
      const madeAt = this.#records.tags.now;
      const asking: Tagged = { tags: options.tags, madeAt };
      if (isCurrent()) this.#asking.set(key, asking);
      try {
        const value = await this.#ask(key, load, loadSignal);
        const loadMs = this.#options.clock.now() - startMs;
        this.#events.emit('loaded', { key, durationMs: loadMs });
        const isKept = isCurrent() && this.#keep(key, value, { ...options, loadMs, madeAt });
        if (isKept) turn?.share(value, { ...options, loadMs });
        else turn?.release();
        return { value, from: 'source', isStale: false, ageMs: 0 };
      } catch (error) {
        turn?.release();
        if (isCurrent() && !loadSignal.aborted) this.#remember(key, error, options, madeAt);
        const record = this.#records.peek(key);
        if (turn?.stale !== undefined && record?.kind === 'value') return this.#answer(record);
        throw error;
      } finally {
        if (this.#asking.get(key) === asking) this.#asking.delete(key);
      }
    };
    this.#detachOld(key, options.tags);
    return this.#loading.execute(key, work, signal === undefined ? undefined : { signal });
  }

  /** Keeps what the processes share, unless the key has changed here meanwhile. */
  #adopt(key: string, entry: SharedEntry<T>, madeAt: number, isCurrent: boolean): CacheAnswer<T> {
    if (isCurrent) this.#records.adopt(key, entry, madeAt);
    const { value, ageMs } = entry;
    const isStale = ageMs >= entry.freshMs;
    if (isStale) this.#staleAnswers += 1;
    return { value, from: 'redis', isStale, ageMs };
  }

  async #ask(key: string, load: CacheLoad<T>, signal: AbortSignal): Promise<T> {
    const { clock, loadTimeoutMs } = this.#options;
    this.#loads += 1;
    const late = (): Error => new CacheLoadTimeoutError(key, loadTimeoutMs);
    try {
      return await withDeadline(clock, loadTimeoutMs, signal, late, async (limited) =>
        abortable((async () => load(limited))(), limited),
      );
    } catch (error) {
      this.#loadFailures += 1;
      throw error;
    }
  }

  /** Whether the value can be kept; one that cannot be is an answer nevertheless. */
  #keep(
    key: string,
    value: T,
    options: EntryOptions & { loadMs: number; madeAt: number },
  ): boolean {
    if (value === undefined && this.#options.negativeMs === 0) {
      this.#records.delete(key);
      return false;
    }
    try {
      return this.#records.store(key, value, options, true).kind === 'stored';
    } catch (error) {
      if (!(error instanceof CacheValueError)) throw error;
      this.#records.delete(key);
      this.#events.emit('refused', { key, error });
      return false;
    }
  }

  #remember(key: string, error: unknown, options: EntryOptions, madeAt: number): void {
    const { clock, refreshBackoffMs, negativeMs } = this.#options;
    const record: CacheRecord<T> | undefined = this.#records.peek(key);
    const isServed = record?.kind === 'value';
    if (isServed) refreshFailed(record, error, clock.now(), refreshBackoffMs);
    else if (negativeMs > 0) this.#records.storeFailure(key, error, { ...options, madeAt });
    this.#events.emit('load-failed', { key, error, isServed });
  }
}
