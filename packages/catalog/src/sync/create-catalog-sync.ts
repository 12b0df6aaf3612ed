import { abortable, requireNode } from '@holdfast/foundation';
import type { GenerationManifest } from '../catalog.ts';
import { CatalogFencedError } from '../generations/errors.ts';
import type { SyncLease } from '../lock/sync-lock.ts';
import type { BuiltIndex } from '../search/build/index-builder.ts';
import { openIndex } from '../search/catalog-index.ts';
import type {
  CatalogSync,
  KeptGroup,
  SyncOptions,
  SyncOutcome,
  TargetFailure,
} from './catalog-sync.ts';
import { type Contents, countContents, isEqualContents, readContents } from './contents.ts';
import {
  CatalogGenerationShrunkError,
  CatalogPagesError,
  CatalogSyncClosedError,
  toPagesError,
} from './errors.ts';
import { type OpenGeneration, keepGroup } from './kept-groups.ts';
import { type CatalogSyncOptions, type CatalogSyncSettings, parseSyncOptions } from './options.ts';
import { type GroupEnd, PageFetch } from './page-fetch.ts';
import { DamagedPage } from './pages/page-store.ts';
import type { PlannedGroup, PlannedPage } from './pages/plan-records.ts';
import { SyncPlan } from './pages/sync-plan.ts';
import { ProgressReport } from './progress-report.ts';
import { GenerationPublication, type SameBundles } from './publication.ts';
import { type Survey, surveyGenerations } from './survey.ts';

/** How often pages that are damaged on the disk are fetched again in one sync. */
const MAX_REPAIRS = 2;

/**
 * Makes what syncs the catalog of this process. It opens its directory at the first run.
 * @throws InvalidOptionError
 */
export function createCatalogSync(options: CatalogSyncOptions): CatalogSync {
  requireNode('createCatalogSync');
  return new PagedCatalogSync(parseSyncOptions(options));
}

interface Running {
  readonly outcome: Promise<SyncOutcome>;
  readonly progress: ProgressReport;
}

/** What one sync knows once it has the lock. */
interface Leading {
  readonly survey: Survey;
  readonly lease: SyncLease;
  readonly plan: SyncPlan;
  readonly progress: ProgressReport;
  readonly allowShrink: boolean;
  readonly signal: AbortSignal;
}

/** A generation that is fetched and counted. */
interface Fetched {
  readonly manifest: GenerationManifest;
  readonly groups: readonly PlannedGroup[];
  readonly contents: Contents;
  readonly keptGroups: readonly KeptGroup[];
  readonly rejections: SyncOutcome['rejections'];
}

class PagedCatalogSync implements CatalogSync {
  readonly #settings: CatalogSyncSettings;
  readonly #closing = new AbortController();
  #plan: SyncPlan | undefined;
  #running: Running | undefined;
  /** The last one, whose memory whoever serves it shares. */
  #built: (SameBundles & { readonly contents: Contents }) | undefined;

  constructor(settings: CatalogSyncSettings) {
    this.#settings = settings;
  }

  async run(options: SyncOptions = {}): Promise<SyncOutcome> {
    this.#closing.signal.throwIfAborted();
    options.signal?.throwIfAborted();
    if (this.#running !== undefined) {
      const { outcome, progress } = this.#running;
      progress.listen(options.onProgress);
      return options.signal === undefined ? outcome : abortable(outcome, options.signal);
    }
    const progress = new ProgressReport();
    progress.listen(options.onProgress);
    const outcome = this.#syncFenced(options, progress).finally(() => {
      this.#running = undefined;
    });
    this.#running = { outcome, progress };
    return outcome;
  }

  async close(): Promise<void> {
    this.#closing.abort(new CatalogSyncClosedError());
    await Promise.allSettled([this.#running?.outcome]);
    await this.#closePlan();
    this.#built = undefined;
  }

  /**
   * Once more, with the pages that it has, where a store has seen a higher token and no newer generation: the lock has
   * lost its count, and nobody's manifest tells of tokens that published nothing.
   */
  async #syncFenced(options: SyncOptions, progress: ProgressReport): Promise<SyncOutcome> {
    const startedMs = this.#settings.clock.now();
    try {
      return await this.#sync(options, progress, { startedMs, above: 0 });
    } catch (error) {
      if (!(error instanceof CatalogFencedError) || error.reason !== 'token') throw error;
      return this.#sync(options, progress, { startedMs, above: error.token });
    }
  }

  async #sync(
    options: SyncOptions,
    progress: ProgressReport,
    { startedMs, above }: { readonly startedMs: number; readonly above: number },
  ): Promise<SyncOutcome> {
    const { clock, lock } = this.#settings;
    const signals = [
      this.#closing.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ];
    const signal = AbortSignal.any(signals);
    progress.enter('locking', undefined);
    const plan = await this.#openPlan(signal);
    const own = plan.last?.manifest;
    const asked = { stores: this.#settings.stores, failed: [] };
    const before = await surveyGenerations(this.#settings, own, asked, signal);
    const lease = await lock.acquire({ signal, above: Math.max(above, before.token) });
    const limit = AbortSignal.any([signal, lease.signal]);
    try {
      // Others may have published before the lock was had.
      const survey = await surveyGenerations(this.#settings, own, before, limit);
      const allowShrink = options.allowShrink ?? false;
      const leading = { survey, lease, plan, progress, allowShrink, signal: limit };
      const outcome = await this.#lead(leading);
      return { ...outcome, durationMs: clock.now() - startedMs };
    } catch (error) {
      if (error instanceof CatalogPagesError) await this.#closePlan();
      limit.throwIfAborted();
      throw error;
    } finally {
      await lease.release();
    }
  }

  async #lead(leading: Leading): Promise<Omit<SyncOutcome, 'durationMs'>> {
    const { clock, resumeWithinMs } = this.#settings;
    const { plan, survey, progress, signal } = leading;
    await plan.begin(clock.epochMs(), resumeWithinMs, survey.generation);
    for (let repairs = 0; ; repairs += 1) {
      const fetched = await this.#fetch(leading);
      try {
        const { manifest, keptGroups, rejections } = fetched;
        const { index, published, failed } = await this.#publish(leading, fetched);
        const { pages, reusedPages } = progress.progress;
        const common = { manifest, keptGroups, rejections, pages, reusedPages };
        return { ...common, index: openIndex(index.buffers), published, failed };
      } catch (error) {
        if (!(error instanceof DamagedPage)) throw error;
        const { directory } = this.#settings;
        if (repairs >= MAX_REPAIRS) throw new CatalogPagesError(directory, 'damaged', error);
        await plan.forgetDamaged(signal);
      }
    }
  }

  async #fetch(leading: Leading): Promise<Fetched> {
    const { plan, survey, progress, allowShrink, signal, lease } = leading;
    const { client, directory } = this.#settings;
    const { previous } = survey;
    progress.enter('fetching', previous?.rows);
    const deps = { client, directory, plan, progress, previous, allowShrink, signal };
    const ends = await new PageFetch(deps).run();
    // No lease publishes twice, so its token is a number that no generation has, however many were seen.
    const generation = Math.max(survey.generation + 1, lease.token);
    const groups: PlannedGroup[] = [];
    const keptGroups: KeptGroup[] = [];
    for (const end of ends.values()) {
      const group = await this.#groupOf(end, generation, leading);
      if (group !== undefined) groups.push(group);
      if (end.kind === 'fetched') continue;
      keptGroups.push({ name: end.group, generation: group?.generation, cause: end.error });
    }
    const contents = await countContents(groups, signal);
    this.#checkShrink(contents.rows, leading);
    const manifest: GenerationManifest = {
      generation,
      token: lease.token,
      rows: contents.rows,
      syncedAtEpochMs: plan.startedAtEpochMs,
      complete: keptGroups.length === 0,
      groups: contents.groups,
    };
    const rejections = [...ends.values()]
      .filter(({ rejections: { rejected } }) => rejected > 0)
      .map(({ group, rejections: report }) => ({ group, report }));
    return { manifest, groups, contents, keptGroups, rejections };
  }

  async #groupOf(
    end: GroupEnd,
    generation: number,
    { plan, survey, allowShrink, signal }: Leading,
  ): Promise<PlannedGroup | undefined> {
    const name = end.group;
    if (end.kind === 'fetched') {
      const pages = end.pages.map(({ page, sha256 }) => plannedPage(plan, name, page, sha256));
      return { name, generation, pages };
    }
    const { previous } = survey;
    const deps = { plan, previous, sources: this.#sources(survey), signal };
    const kept = await keepGroup(name, deps).catch((error: unknown) => {
      signal.throwIfAborted();
      throw toPagesError(this.#settings.directory, error);
    });
    const rows = previous?.groups.find((group) => group.name === name)?.rows ?? 0;
    if (kept === undefined && rows > 0 && !allowShrink) {
      const seen = `group ${JSON.stringify(name)} failed, and its ${rows} rows are nowhere to be read`;
      throw new CatalogGenerationShrunkError(seen, end.error);
    }
    return kept;
  }

  #checkShrink(rows: number, { survey, allowShrink }: Leading): void {
    const previousRows = survey.previous?.rows ?? 0;
    if (allowShrink || rows >= previousRows * (1 - this.#settings.maxShrinkShare)) return;
    throw new CatalogGenerationShrunkError(`the generation has ${rows} rows after ${previousRows}`);
  }

  async #publish(
    { plan, survey, progress, signal }: Leading,
    { manifest, groups, contents }: Fetched,
  ): Promise<{
    index: BuiltIndex;
    published: readonly string[];
    failed: readonly TargetFailure[];
  }> {
    const { clock, backup, buildIndex } = this.#settings;
    const { stores, failed: silent } = survey;
    const isUnchanged =
      this.#built !== undefined && isEqualContents(this.#built.contents, contents);
    const publication = new GenerationPublication({
      stores,
      failed: silent,
      backup,
      manifest,
      clock,
      buildIndex,
      documents: () => readContents(contents, plan.store, signal),
      same: isUnchanged ? this.#built : undefined,
      signal,
    });
    try {
      progress.enter('staging', manifest.rows);
      const index = await publication.stage((rows) => progress.addRows(rows));
      progress.enter('publishing', manifest.rows);
      await publication.publish();
      const { published, failed } = publication;
      const inBackup = published.includes('backup') ? manifest : undefined;
      this.#built = { contents, index, inBackup };
      // It is published: what cannot be written down is only fetched again.
      await plan.publish(manifest, groups).catch(() => this.#closePlan());
      return { index, published, failed };
    } catch (error) {
      await publication.discard(error);
      throw error;
    }
  }

  /** Where a group of the generation before may be read. */
  #sources({ stores }: Survey): OpenGeneration[] {
    const { backup } = this.#settings;
    const sources: OpenGeneration[] = stores.map((store) => (signal) => store.open({ signal }));
    return backup === undefined ? sources : [...sources, (signal) => backup.open({ signal })];
  }

  async #openPlan(signal: AbortSignal): Promise<SyncPlan> {
    const { directory, files, clock, ioTimeoutMs } = this.#settings;
    this.#plan ??= await SyncPlan.open({ directory, files, clock, ioTimeoutMs, signal });
    return this.#plan;
  }

  async #closePlan(): Promise<void> {
    const plan = this.#plan;
    this.#plan = undefined;
    await plan?.close();
  }
}

function plannedPage(plan: SyncPlan, group: string, page: number, sha256: string): PlannedPage {
  const planned = plan.page(group, page);
  if (planned?.sha256 === sha256) return planned;
  throw new RangeError(`page ${page} of ${group} is not the one in the plan`);
}
