import {
  InvalidOptionError,
  type Emitter,
  type Subscribe,
  abortable,
  createEmitter,
  errorChain,
  nextEvent,
  propertyOf,
  settlesWithin,
  withDeadline,
} from '@holdfast/foundation';
import type { AnswerOrigin, CatalogQuery } from '../catalog.ts';
import { parseQuery } from '../search/query/parse-query.ts';
import type { SyncOptions, SyncOutcome } from '../sync/catalog-sync.ts';
import { CatalogClosedError, CatalogTierTimeoutError, CatalogUnavailableError } from './errors.ts';
import { Ladder } from './ladder.ts';
import { type LoadTier, createLoads } from './load-generation.ts';
import { Memory } from './memory.ts';
import { type CatalogOptions, type CatalogSettings, parseCatalogOptions } from './options.ts';
import { RefreshTimers } from './refresh-timers.ts';
import {
  type BundleAnswer,
  type Catalog,
  type CatalogAnswer,
  type CatalogCallOptions,
  type CatalogStatus,
  type ServedCatalogEvents,
  healthOf,
  servedCatalogEventKinds,
} from './served-catalog.ts';
import { SharedRun } from './shared-run.ts';
import { SyncRuns } from './sync-runs.ts';
import { type AskedTier, type GenerationNumber, GenerationTier } from './generation-tier.ts';

/**
 * A catalog that answers from memory, and finds its generations down the tiers that are given.
 * @throws InvalidOptionError
 */
export function createCatalog(options: CatalogOptions): Catalog {
  return new ServedCatalog(parseCatalogOptions(options));
}

class ServedCatalog implements Catalog {
  readonly on: Subscribe<ServedCatalogEvents>;
  readonly #settings: CatalogSettings;
  readonly #emitter: Emitter<ServedCatalogEvents>;
  readonly #closing = new AbortController();
  readonly #memory: Memory;
  readonly #stores: readonly GenerationTier[];
  readonly #load: LoadTier;
  readonly #syncs: SyncRuns | undefined;
  readonly #ladder: Ladder;
  readonly #schedule: RefreshTimers;
  /** Of the last refresh, while nothing was found; nobody who has no generation makes the tiers search again at once. */
  #failure: { readonly error: unknown; readonly untilMs: number } | undefined;
  #isCacheBehind = false;
  #refreshing: SharedRun<AnswerOrigin> | undefined;
  #closed: Promise<void> | undefined;

  constructor(settings: CatalogSettings) {
    const { clock, deadlines, ttlMs } = settings;
    this.#settings = settings;
    this.#emitter = createEmitter('holdfast:catalog', servedCatalogEventKinds);
    this.on = this.#emitter.on;
    const [cache, database, backup] = tiersOf(settings);
    this.#stores = [cache, database].filter((tier) => tier !== undefined);
    this.#memory = new Memory({
      clock,
      ttlMs,
      tiers: [...this.#stores, backup].filter((tier) => tier !== undefined),
      onServed: (origin) => this.#emitter.emit('served', origin),
    });
    this.#load = createLoads(this.#memory, clock);
    this.#syncs = this.#createSyncs();
    this.#schedule = new RefreshTimers({
      ...settings,
      poll: async () => void (await this.#poll()),
      refresh: () => this.#refreshBehind(),
    });
    this.#ladder = new Ladder({
      clock,
      memory: this.#memory,
      syncs: this.#syncs,
      stores: this.#stores,
      backup,
      load: this.#load,
      apiMs: deadlines.apiMs,
      askMs: deadlines.cacheMs,
      totalMs: deadlines.totalMs,
      onFellBack: (attempt) => this.#emitter.emit('fell-back', attempt),
      nextServed: (signal) => nextEvent(this, 'served', { signal }),
      retryAfterMs: () => this.#schedule.retryAfterMs,
    });
  }

  async search(query?: CatalogQuery, { signal }: CatalogCallOptions = {}): Promise<CatalogAnswer> {
    this.#checkOpen(signal);
    // What is asked wrongly need not wait.
    if (this.#memory.served === undefined) parseQuery(query ?? {});
    await this.#awaitFirst(signal);
    const result = this.#memory.holder.search(query);
    return { ...result, origin: this.#origin() };
  }

  async get(name: string, { signal }: CatalogCallOptions = {}): Promise<BundleAnswer> {
    this.#checkOpen(signal);
    await this.#awaitFirst(signal);
    const closing = this.#closing.signal;
    const limit = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    try {
      return await this.#read(name, limit);
    } catch (error) {
      // Places keep few generations: this one may be gone from all of them, while a newer one was published.
      const isGone = error instanceof CatalogUnavailableError;
      if (!isGone || !(await abortable(this.#poll(), limit))) throw error;
      return this.#read(name, limit);
    }
  }

  #read(name: string, signal: AbortSignal): Promise<BundleAnswer> {
    const held = this.#memory.served;
    const origin = this.#origin();
    return this.#memory.holder.read(async ({ index }) => {
      const row = index.find(name);
      if (row === undefined || held === undefined) return { bundle: undefined, origin };
      const { bundle, source } = await held.documents.read(row, origin.source, signal);
      return { bundle, origin: { ...origin, source } };
    });
  }

  async refresh({ signal }: CatalogCallOptions = {}): Promise<AnswerOrigin> {
    this.#checkOpen(signal);
    this.#refreshing ??= this.#startRefresh();
    return this.#refreshing.join(signal);
  }

  async sync(options: SyncOptions = {}): Promise<SyncOutcome> {
    const { signal } = options;
    this.#checkOpen(signal);
    if (this.#syncs === undefined) {
      throw new InvalidOptionError('createCatalog', 'api', undefined, 'there, or nothing can sync');
    }
    this.#startSchedule();
    return this.#syncs.start(options).join(signal);
  }

  status(): CatalogStatus {
    const { origin } = this.#memory;
    const manifest = this.#memory.served?.manifest;
    return {
      ...healthOf(origin, manifest, this.#syncs?.fault),
      origin,
      manifest,
      sync: this.#syncs?.progress,
      lastSync: this.#syncs?.lastSync,
      attempts: this.#ladder.attempts,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { clock, closeTimeoutMs, ownSync } = this.#settings;
    const syncing = this.#syncs?.running?.ended;
    this.#closing.abort(new CatalogClosedError());
    const ended = [this.#schedule.close(), this.#refreshing?.ended, syncing, ownSync?.close()];
    await settlesWithin(
      clock,
      closeTimeoutMs,
      Promise.allSettled(ended.filter((end) => end !== undefined)),
    );
    this.#memory.close();
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
  }

  /** Of what is served; a stale one is renewed behind the answer. */
  #origin(): AnswerOrigin {
    const { origin } = this.#memory;
    // Only `close` takes it away.
    if (origin === undefined) throw new CatalogClosedError();
    if (origin.stale) this.#schedule.hurry();
    return origin;
  }

  /** Waits for a generation, unless there is one, or none was found a moment ago. */
  async #awaitFirst(signal: AbortSignal | undefined): Promise<void> {
    if (this.#memory.served !== undefined) return;
    const { clock } = this.#settings;
    if (this.#failure !== undefined && clock.now() < this.#failure.untilMs)
      throw this.#failure.error;
    await this.refresh(signal === undefined ? {} : { signal });
  }

  #startSchedule(): void {
    if (this.#stores.length > 0) this.#schedule.startPolling();
  }

  #startRefresh(): SharedRun<AnswerOrigin> {
    this.#startSchedule();
    const run = new SharedRun(async (signal) => {
      try {
        return await this.#ladder.descend(signal);
      } catch (error) {
        if (this.#syncs === undefined) this.#schedule.afterFailure(0);
        const { clock, retry } = this.#settings;
        this.#failure = { error, untilMs: clock.now() + retry.initialDelayMs };
        throw error;
      } finally {
        this.#refreshing = undefined;
      }
    }, this.#closing.signal);
    return run.keep();
  }

  #createSyncs(): SyncRuns | undefined {
    const { sync, clock } = this.#settings;
    if (sync === undefined) return undefined;
    return new SyncRuns(sync, {
      clock,
      closing: this.#closing.signal,
      onOutcome: (outcome) => {
        this.#memory.serve('api', outcome);
        const isPartial = outcome.keptGroups.length + outcome.failed.length > 0;
        if (isPartial) this.#schedule.afterPartial(outcome.durationMs);
        else this.#schedule.afterSuccess(0);
        this.#emitter.emit('sync-ended', { outcome });
      },
      onFailure: (error, durationMs) => this.#onSyncFailure(error, durationMs),
    });
  }

  #onSyncFailure(error: unknown, durationMs: number): void {
    const refusal = [...errorChain(error)].find(
      (cause) => propertyOf(cause, 'code') === 'CATALOG_API_UNAUTHORIZED',
    );
    if (refusal === undefined) {
      const retryAfterMs = propertyOf(error, 'retryAfterMs');
      this.#schedule.afterFailure(
        typeof retryAfterMs === 'number' ? Math.max(durationMs, retryAfterMs) : durationMs,
      );
    } else {
      this.#schedule.afterRefusal();
      const message = 'the API refuses the key: no sync can succeed until a person has looked';
      this.#emitter.emit('alert', { message, error });
    }
    this.#emitter.emit('sync-failed', { error });
  }

  /** Never rejects. */
  async #refreshBehind(): Promise<void> {
    if (await this.#poll()) return;
    if (this.#memory.served === undefined || this.#syncs === undefined) {
      await Promise.allSettled([this.refresh()]);
      return;
    }
    await Promise.allSettled([this.#syncs.start().keep().result]);
  }

  /** A cache that has lost its generation, or missed one while it was away, gets another one by a sync. */
  #onCachePolled(isBehind: boolean): void {
    // Once: a cache that takes nothing would be tried without end.
    if (isBehind && !this.#isCacheBehind && this.#syncs !== undefined) this.#schedule.hurry();
    this.#isCacheBehind = isBehind;
  }

  /** Whether a store has a newer generation, which is served now; of several the newest. Never rejects. */
  async #poll(): Promise<boolean> {
    const { clock, deadlines } = this.#settings;
    const memory = this.#memory;
    const late = (): Error => new CatalogTierTimeoutError('the stores', deadlines.totalMs);
    for (const { tier, current } of await this.#askStores()) {
      // What this process publishes comes with its index.
      const isOwn = this.#syncs?.progress?.phase === 'publishing';
      if (isOwn || !memory.isNewer(current)) continue;
      try {
        await withDeadline(clock, deadlines.totalMs, this.#closing.signal, late, (limit) =>
          this.#load(tier, limit),
        );
        this.#schedule.afterSuccess(memory.origin?.ageMs ?? 0);
        return true;
      } catch {
        if (this.#closing.signal.aborted) return false;
      }
    }
    return false;
  }

  /** The stores that have a generation, the newest first. */
  async #askStores(): Promise<(AskedTier & { readonly current: GenerationNumber })[]> {
    const memory = this.#memory;
    const asked: (AskedTier & { readonly current: GenerationNumber })[] = [];
    for (const tier of this.#stores) {
      try {
        // As it was when the cache was asked: this process may publish meanwhile.
        const served = memory.served?.manifest.generation ?? 0;
        const current = await tier.current(this.#closing.signal);
        if (tier.source === 'cache') this.#onCachePolled(served > (current?.generation ?? 0));
        if (current !== undefined) asked.push({ tier, current });
      } catch {
        if (this.#closing.signal.aborted) return [];
        if (tier.source === 'cache') this.#isCacheBehind = false;
      }
    }
    const same = asked.find(({ current }) => memory.isSame(current));
    if (same !== undefined && memory.served?.source !== 'api') memory.confirm(same.tier.source);
    return asked.toSorted((one, other) => other.current.generation - one.current.generation);
  }
}

type Tiers = readonly [
  cache: GenerationTier | undefined,
  database: GenerationTier | undefined,
  backup: GenerationTier | undefined,
];

function tiersOf({ clock, deadlines, cache, database, backup }: CatalogSettings): Tiers {
  const { cacheMs, databaseMs, backupMs } = deadlines;
  return [
    cache && new GenerationTier('cache', cache, { clock, stepMs: cacheMs }),
    database && new GenerationTier('database', database, { clock, stepMs: databaseMs }),
    backup &&
      new GenerationTier(
        'backup',
        { current: () => backup.newest(), open: (options) => backup.open(options) },
        { clock, stepMs: backupMs },
      ),
  ];
}
