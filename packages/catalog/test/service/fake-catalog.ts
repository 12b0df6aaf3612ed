/** A catalog in memory whose state a test sets. */
import {
  type AnswerOrigin,
  type Bundle,
  type CatalogIndex,
  IndexBuilder,
  openIndex,
} from '@holdfast/catalog';
import {
  type Catalog,
  type CatalogStatus,
  type SyncFault,
  healthOf,
} from '../../src/serving/served-catalog.ts';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface FakeCatalog extends Pick<Catalog, 'search' | 'get' | 'status'> {
  /** Of every answer; none is given while it is `undefined`. */
  origin: Writable<AnswerOrigin> | undefined;
  state: Partial<Writable<CatalogStatus>>;
  /** How the last sync failed, if it did. */
  fault: SyncFault | undefined;
  /** Thrown by `search` and `get` while it is set. */
  failure: Error | undefined;
  /** Whether calls wait for {@link FakeCatalog.goOn}, or for their signal. */
  isHeld: boolean;
  readonly signals: AbortSignal[];
  goOn(): void;
}

export function createFakeCatalog(bundles: readonly Bundle[]): FakeCatalog {
  const builder = new IndexBuilder({ maxBytes: 64 * 1_048_576 });
  builder.add(bundles);
  const index: CatalogIndex = openIndex(builder.finish().buffers);
  const waiting: (() => void)[] = [];
  const answer = async (signal: AbortSignal | undefined): Promise<AnswerOrigin> => {
    if (signal !== undefined) catalog.signals.push(signal);
    if (catalog.isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
    if (catalog.failure !== undefined) throw catalog.failure;
    if (catalog.origin === undefined) throw new Error('a test forgot the origin');
    return { ...catalog.origin };
  };
  const catalog: FakeCatalog = {
    origin: { source: 'memory', generation: 7, ageMs: 90_500, stale: false, complete: true },
    state: {},
    fault: undefined,
    failure: undefined,
    isHeld: false,
    signals: [],
    goOn() {
      for (const resolve of waiting.splice(0)) resolve();
    },
    async search(query, { signal } = {}) {
      return { ...index.search(query), origin: await answer(signal) };
    },
    async get(name, { signal } = {}) {
      const bundle = bundles.find((each) => each.name === name);
      return { bundle, origin: await answer(signal) };
    },
    status: () => ({
      ...healthOf(catalog.origin, undefined, catalog.fault),
      origin: catalog.origin,
      manifest: undefined,
      sync: undefined,
      lastSync: undefined,
      attempts: [],
      ...catalog.state,
    }),
  };
  return catalog;
}
