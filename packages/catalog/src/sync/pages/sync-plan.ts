import { join } from 'node:path';
import type { Clock } from '@holdfast/foundation';
import { type FileSystem, type Journal, boundedFiles, openJournal } from '@holdfast/journal';
import type { GenerationManifest } from '../../catalog.ts';
import type { Paging } from '../../client/catalog-client.ts';
import { toPagesError } from '../errors.ts';
import { PageStore } from './page-store.ts';
import {
  type PlannedGroup,
  type PlannedPage,
  type PlanRecord,
  decodeRecord,
  encodeRecord,
} from './plan-records.ts';

/** By group, then by number of the page. */
type Pages = Map<string, Map<number, PlannedPage>>;

/** What the last publication of this process was made of. */
interface PublishedPlan {
  readonly manifest: GenerationManifest;
  readonly groups: ReadonlyMap<string, PlannedGroup>;
  readonly pages: Pages | undefined;
}

/** What was fetched so far. */
interface RunningPlan {
  readonly startedAtEpochMs: number;
  /** The newest generation that was published when it was begun. */
  readonly after: number;
  readonly pages: Pages;
}

interface PlanOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly ioTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Records of one write, when many are written again. */
const BATCH = 64;
const MAX_RECORD_BYTES = 67_108_864;
const SEGMENT_BYTES = 1_048_576;

/**
 * The pages of the last generation and of the one that is being fetched, in a directory. The journal tells which page
 * is which; its records are small, and a page is recorded when it is in the store.
 */
export class SyncPlan {
  readonly store: PageStore;
  readonly #directory: string;
  readonly #journal: Journal;
  #last: PublishedPlan | undefined;
  #running: RunningPlan | undefined;
  #paging: Paging | undefined;
  /** The first record of what is running, or was published last. */
  #runningFrom = 0;

  constructor(directory: string, journal: Journal, store: PageStore) {
    this.#directory = directory;
    this.#journal = journal;
    this.store = store;
  }

  /** @throws CatalogPagesError; the signal's own reason */
  static async open({
    directory,
    files,
    clock,
    ioTimeoutMs,
    signal,
  }: PlanOptions): Promise<SyncPlan> {
    let journal: Journal | undefined;
    const bounded = boundedFiles(files, directory, { clock, ioTimeoutMs, maxConcurrent: 4 });
    try {
      await bounded.makeDirectory(directory);
      journal = await openJournal({
        directory: join(directory, 'plan'),
        durability: 'os',
        segmentBytes: SEGMENT_BYTES,
        maxRecordBytes: MAX_RECORD_BYTES,
        maxPendingBytes: 2 * MAX_RECORD_BYTES,
        ioTimeoutMs,
        files,
        clock,
        signal,
      });
      const store = new PageStore(bounded, join(directory, 'pages'));
      await store.open();
      const plan = new SyncPlan(directory, journal, store);
      await plan.#replay();
      await store.retain(plan.#files());
      return plan;
    } catch (error) {
      await Promise.allSettled([journal?.close()]);
      signal.throwIfAborted();
      throw toPagesError(directory, error);
    }
  }

  get last(): PublishedPlan | undefined {
    return this.#last;
  }

  /** When the API was first asked for what is running. */
  get startedAtEpochMs(): number {
    return this.#running?.startedAtEpochMs ?? 0;
  }

  /** How the newest page of what is running was asked for. */
  get paging(): Paging | undefined {
    return this.#paging;
  }

  /**
   * Goes on with what was begun a short time ago, or begins anew: pages that are older than a published generation must
   * not come after it. That is told by its number, as the clocks of two machines differ.
   * @param after the newest generation that is published anywhere.
   */
  async begin(epochMs: number, resumeWithinMs: number, after: number): Promise<void> {
    const running = this.#running;
    if (running !== undefined) {
      const ageMs = epochMs - running.startedAtEpochMs;
      if (ageMs >= 0 && ageMs <= resumeWithinMs && after <= running.after) return;
      await this.#dropRunning();
    }
    await this.#begin(epochMs, after);
  }

  /** A page of what is running. */
  page(group: string, page: number): PlannedPage | undefined {
    return this.#existing(this.#running?.pages.get(group)?.get(page));
  }

  /** A page that was fetched at any time. */
  knownPage(group: string, page: number): PlannedPage | undefined {
    return this.page(group, page) ?? this.#existing(this.#last?.pages?.get(group)?.get(page));
  }

  /** A group of the last generation, if all its pages are there. */
  lastGroup(name: string): PlannedGroup | undefined {
    const group = this.#last?.groups.get(name);
    const isThere = group?.pages.every(({ file }) => this.store.has(file));
    return isThere === true ? group : undefined;
  }

  async add(page: PlannedPage): Promise<void> {
    await this.#append({ kind: 'page', ...page });
    this.#take({ kind: 'page', ...page });
  }

  async drop(group: string): Promise<void> {
    if (this.#running?.pages.has(group) !== true) return;
    await this.#append({ kind: 'dropped', group });
    this.#take({ kind: 'dropped', group });
  }

  /** What is running has been published; all else may be forgotten. */
  async publish(manifest: GenerationManifest, groups: readonly PlannedGroup[]): Promise<void> {
    const record: PlanRecord = { kind: 'published', manifest, groups: groups.map(withNumbers) };
    await this.#append(record);
    const from = this.#runningFrom;
    this.#take(record);
    await this.#onDisk(async () => {
      if (from > 1) await this.#journal.release(from - 1);
      await this.store.retain(this.#files());
    });
  }

  /** Forgets all pages that are not what they were. @throws CatalogPagesError; the signal's own reason */
  async forgetDamaged(signal: AbortSignal): Promise<void> {
    await this.#onDisk(() => this.store.forgetDamaged(signal));
    signal.throwIfAborted();
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#journal.close()]);
  }

  async #begin(startedAtEpochMs: number, after: number): Promise<void> {
    const record: PlanRecord = { kind: 'begun', startedAtEpochMs, after };
    this.#runningFrom = await this.#append(record);
    this.#take(record);
  }

  /** Writes the last generation again, so that what was begun after it can be released. */
  async #dropRunning(): Promise<void> {
    this.#running = undefined;
    const { next } = this.#journal;
    if (this.#last !== undefined) {
      const { manifest, groups } = this.#last;
      const records: PlanRecord[] = [
        { kind: 'begun', startedAtEpochMs: 0 },
        ...[...groups.values()].flatMap(({ pages }) =>
          pages.map((page) => ({ kind: 'page' as const, ...page })),
        ),
        { kind: 'published', manifest, groups: [...groups.values()].map(withNumbers) },
      ];
      await this.#onDisk(async () => {
        for (let at = 0; at < records.length; at += BATCH) {
          await this.#journal.appendAll(records.slice(at, at + BATCH).map(encodeRecord));
        }
      });
    }
    await this.#onDisk(async () => {
      if (next > 1) await this.#journal.release(next - 1);
      await this.store.retain(this.#files());
    });
  }

  async #append(record: PlanRecord): Promise<number> {
    return this.#onDisk(() => this.#journal.append(encodeRecord(record)));
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toPagesError(this.#directory, error);
    }
  }

  async #replay(): Promise<void> {
    for (let next = this.#journal.first; ;) {
      const records = await this.#journal.read(next);
      for (const { sequence, payload } of records) {
        const record = decodeRecord(payload);
        if (record.kind === 'begun') this.#runningFrom = sequence;
        this.#take(record);
      }
      const last = records.at(-1);
      if (last === undefined) return;
      next = last.sequence + 1;
    }
  }

  #take(record: PlanRecord): void {
    switch (record.kind) {
      case 'begun': {
        const { startedAtEpochMs, after = 0 } = record;
        this.#running = { startedAtEpochMs, after, pages: new Map() };
        this.#paging = undefined;
        return;
      }
      case 'page': {
        const { kind: _kind, ...page } = record;
        this.#paging = page.paging ?? this.#paging;
        const pages = this.#running?.pages.get(page.group) ?? new Map<number, PlannedPage>();
        pages.set(page.page, page);
        this.#running?.pages.set(page.group, pages);
        return;
      }
      case 'dropped':
        this.#running?.pages.delete(record.group);
        return;
      case 'published': {
        const { manifest } = record;
        const pages = this.#running?.pages;
        const groups = record.groups.map(({ name, generation, pages: numbers }) => {
          const found = numbers.map((page) => pages?.get(name)?.get(page));
          // One of them was damaged in the journal.
          if (found.includes(undefined)) return undefined;
          return { name, generation, pages: found.filter((page) => page !== undefined) };
        });
        const whole = groups.filter((group) => group !== undefined);
        this.#last = {
          manifest,
          groups: new Map(whole.map((group) => [group.name, group])),
          pages,
        };
        this.#running = undefined;
        return;
      }
    }
  }

  #existing(page: PlannedPage | undefined): PlannedPage | undefined {
    return page !== undefined && this.store.has(page.file) ? page : undefined;
  }

  /** Of all pages that may be needed. */
  #files(): Set<string> {
    const files = new Set<string>();
    for (const { pages } of this.#last?.groups.values() ?? []) {
      for (const { file } of pages) files.add(file);
    }
    for (const pages of this.#running?.pages.values() ?? []) {
      for (const { file } of pages.values()) files.add(file);
    }
    return files;
  }
}

function withNumbers({ name, generation, pages }: PlannedGroup): {
  name: string;
  generation: number;
  pages: number[];
} {
  return { name, generation, pages: pages.map(({ page }) => page) };
}
