import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type Bundle,
  type Catalog,
  type CatalogIndex,
  type CatalogOptions,
  type GenerationManifest,
  type GenerationReader,
  type GenerationStore,
  IndexBuilder,
  createCatalog,
  openIndex,
} from '@holdfast/catalog';
import type { CatalogSync, SyncOptions, SyncOutcome } from '../../src/sync/catalog-sync.ts';
import { bundlesOf } from '../bundles.ts';
import { type MemoryStore, createMemoryStore } from '../memory-store.ts';

export const ROWS = 20;

/** How a place answers. `damaged` opens, and fails while it is read; `short` has fewer rows than it says. */
export type PlaceState = 'ok' | 'refused' | 'hung' | 'empty' | 'damaged' | 'short';

export interface FakePlace extends MemoryStore {
  state: PlaceState;
  opened: number;
  closed: number;
}

export interface FakeSync extends CatalogSync {
  /** What the next run does; it is given the run's signal. */
  next: (options: SyncOptions) => Promise<SyncOutcome>;
  runs: number;
}

export interface ServingFixture {
  readonly clock: FakeClock;
  readonly sync: FakeSync;
  readonly cache: FakePlace;
  readonly database: FakePlace;
  readonly backup: FakePlace;
  readonly open: (options?: Partial<CatalogOptions>, hasApi?: boolean) => Catalog;
}

export const never = (): Promise<never> => new Promise(() => {});

/** A place that misbehaves on demand. It has nothing until {@link publish}. */
export function createPlace(name: string, initial: PlaceState = 'ok'): FakePlace {
  const store = createMemoryStore(name);
  const check = async (): Promise<void> => {
    if (place.state === 'hung') await never();
    if (place.state === 'refused') throw new Error(`${name}: ECONNREFUSED`);
  };
  const place: FakePlace = Object.assign(store, {
    state: initial,
    opened: 0,
    closed: 0,
    async current() {
      await check();
      return place.state === 'empty' ? undefined : store.published?.manifest;
    },
    async open() {
      await check();
      if (place.state === 'empty' || store.published === undefined) return undefined;
      place.opened += 1;
      return readerOf(place, store.published);
    },
  });
  return place;
}

function readerOf(
  place: FakePlace,
  { manifest, bundles }: { manifest: GenerationManifest; bundles: readonly Bundle[] },
): GenerationReader {
  return {
    manifest,
    async readRow(row) {
      if (place.state === 'hung') await never();
      if (place.state !== 'ok') throw new Error(`${place.name}: row ${row} is ${place.state}`);
      return bundles[row];
    },
    async *readAll() {
      yield bundles.slice(0, 10);
      if (place.state === 'hung') await never();
      if (place.state === 'short') return;
      if (place.state !== 'ok') throw new Error(`${place.name}: the next part is ${place.state}`);
      yield bundles.slice(10);
    },
    async close() {
      place.closed += 1;
    },
  };
}

/** Bundles whose price says which generation they are of. */
export function generationOf(
  generation: number,
  syncedAtEpochMs: number,
  more: Partial<GenerationManifest> = {},
): { manifest: GenerationManifest; bundles: Bundle[] } {
  const bundles = bundlesOf(ROWS).map((bundle) => Object.assign(bundle, { price: generation }));
  return {
    manifest: {
      generation,
      token: generation,
      rows: ROWS,
      syncedAtEpochMs,
      complete: true,
      groups: [],
      ...more,
    },
    bundles,
  };
}

/** The outcome of a sync that has published the generation in these places. */
export function outcomeOf(
  { manifest, bundles }: ReturnType<typeof generationOf>,
  places: readonly FakePlace[] = [],
  more: Partial<SyncOutcome> = {},
): SyncOutcome {
  for (const place of places) place.published = { manifest, bundles };
  return {
    manifest,
    index: indexOf(bundles),
    published: places.map(({ name }) => name),
    failed: [],
    keptGroups: [],
    rejections: [],
    pages: 1,
    reusedPages: 0,
    durationMs: 1,
    ...more,
  };
}

export function indexOf(bundles: readonly Bundle[]): CatalogIndex {
  const builder = new IndexBuilder({ maxBytes: 64 * 1_048_576 });
  builder.add(bundles);
  return openIndex(builder.finish().buffers);
}

export function openServing(): ServingFixture {
  const clock = createFakeClock();
  const [cache, database, backup] = [
    createPlace('redis'),
    createPlace('postgres'),
    createPlace('backup'),
  ];
  const sync: FakeSync = {
    runs: 0,
    next: async () =>
      outcomeOf(generationOf(sync.runs, clock.epochMs()), [cache, database, backup]),
    async run(options = {}) {
      sync.runs += 1;
      return sync.next(options);
    },
    async close() {},
  };
  return {
    clock,
    sync,
    cache,
    database,
    backup,
    open: (options, hasApi = true) =>
      createCatalog({
        ...(hasApi ? { api: sync } : {}),
        cache,
        database,
        backup: asBackup(backup),
        clock,
        random: seededRandom(1),
        ...options,
      }),
  };
}

/** A backup that has nothing rejects. */
export function asBackup(place: GenerationStore): NonNullable<CatalogOptions['backup']> {
  return {
    async open(options) {
      const reader = await place.open(options);
      if (reader === undefined) throw new Error('no whole backup');
      const { rows } = reader.manifest;
      return { ...reader, file: 'a', rows, frames: 1, skipped: [], readFrame: never };
    },
    write: never,
    renew: never,
    newest: () => place.current(),
    salvage: never,
  };
}
