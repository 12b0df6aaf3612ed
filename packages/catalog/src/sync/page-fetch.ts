import type { Bundle, GenerationManifest } from '../catalog.ts';
import type {
  CatalogClient,
  CatalogPage,
  FetchBundlesOptions,
  FetchedPage,
  GroupFailed,
  GroupFetched,
} from '../client/catalog-client.ts';
import { CatalogApiError, CatalogGroupError, CatalogShrunkError } from '../client/errors.ts';
import { isEqualPaging } from '../client/paging.ts';
import { IDENTITY_WORDS, NAMELESS, writeIdentity } from '../client/rows/name-table.ts';
import { encodeChunk } from '../documents/chunk.ts';
import { toPagesError } from './errors.ts';
import type { PlannedPage } from './pages/plan-records.ts';
import type { SyncPlan } from './pages/sync-plan.ts';
import type { ProgressReport } from './progress-report.ts';

interface PageFetchDeps {
  readonly client: CatalogClient;
  readonly directory: string;
  readonly plan: SyncPlan;
  readonly progress: ProgressReport;
  readonly previous: GenerationManifest | undefined;
  readonly allowShrink: boolean;
  readonly signal: AbortSignal;
}

/** How a group ended; one that was fetched has its pages in the plan. */
export type GroupEnd = GroupFetched | GroupFailed;

/** Fetches all groups into the plan, those that fail once more. */
export class PageFetch {
  readonly #deps: PageFetchDeps;
  /** In the order of the API, also where a group ended later than others. */
  readonly #ends = new Map<string, GroupEnd>();

  constructor(deps: PageFetchDeps) {
    this.#deps = deps;
  }

  /** @throws CatalogApiError when no group could be fetched; CatalogPagesError; the signal's own reason */
  async run(): Promise<ReadonlyMap<string, GroupEnd>> {
    await this.#fetch();
    const failed = [...this.#ends.values()].filter((end) => end.kind === 'failed');
    const isDown =
      failed.length === this.#ends.size &&
      failed.every(({ error }) => error instanceof CatalogApiError);
    const again = failed.filter(({ error }) => !(error instanceof CatalogShrunkError));
    if (!isDown && again.length > 0) await this.#fetch(again.map(({ group }) => group));
    const ends = [...this.#ends.values()];
    const [first] = ends;
    if (first?.kind === 'failed' && ends.every(({ kind }) => kind === 'failed')) throw first.error;
    return this.#ends;
  }

  async #fetch(groups?: readonly string[]): Promise<void> {
    const { client, plan } = this.#deps;
    for await (const item of client.fetchBundles(this.#options(groups))) {
      if (item.kind === 'page') {
        await this.#keep(item);
        continue;
      }
      this.#ends.set(item.group, item);
      // After an error of the API what had come is good; what does not fit together is not.
      if (item.kind === 'failed' && item.error instanceof CatalogGroupError)
        await plan.drop(item.group);
    }
  }

  #options(groups: readonly string[] | undefined): FetchBundlesOptions {
    const { plan, previous, signal, allowShrink } = this.#deps;
    const paging = plan.paging;
    const rowsOf = previous?.groups.map(
      ({ name, rows, duplicates = 0 }) => [name, rows + duplicates] as const,
    );
    return {
      signal,
      allowShrink,
      previousRows: new Map(rowsOf),
      known: (group, page) => plan.knownPage(group, page),
      ...(groups === undefined ? {} : { groups }),
      ...(paging === undefined
        ? {}
        : {
            interrupted: {
              paging,
              page(group: string, page: number): FetchedPage | undefined {
                const found = plan.page(group, page);
                if (found?.paging === undefined) return undefined;
                return isEqualPaging(found.paging, paging) ? found : undefined;
              },
            },
          }),
    };
  }

  async #keep(item: CatalogPage): Promise<void> {
    const { client, plan, progress } = this.#deps;
    const { paging } = client.getStats();
    const { group, page, stated, sha256 } = item;
    if (item.bundles !== undefined) {
      const stored = await this.#store(item, item.bundles);
      await plan.add({ ...stored, paging });
      progress.addPage(stored.bundles, false);
      return;
    }
    const known = [plan.page(group, page), plan.knownPage(group, page)].find(
      (each) => each?.sha256 === sha256,
    );
    if (known === undefined) throw new RangeError(`page ${page} of ${group} is not in the plan`);
    const isPlanned = known === plan.page(group, page) && known.paging !== undefined;
    if (!isPlanned) await plan.add({ ...known, stated, paging });
    progress.addPage(known.bundles, true);
  }

  async #store(item: CatalogPage, bundles: readonly Bundle[]): Promise<PlannedPage> {
    const { directory, plan, signal } = this.#deps;
    const { kind: _kind, bytes: _bytes, bundles: _bundles, ...page } = item;
    const chunk = await encodeChunk(bundles, { signal });
    try {
      const file = await plan.store.put(chunk);
      const identities = identitiesOf(item, bundles);
      return { ...page, identities, bundles: bundles.length, file };
    } catch (error) {
      throw toPagesError(directory, error);
    }
  }
}

/** Those of the rows as sent, unless some of them are not in the chunk: then the page is not recognized again. */
function identitiesOf({ identities }: CatalogPage, bundles: readonly Bundle[]): Uint32Array {
  let named = 0;
  for (let at = IDENTITY_WORDS - 1; at < identities.length; at += IDENTITY_WORDS) {
    if (identities[at] !== NAMELESS) named += 1;
  }
  return named === bundles.length ? identities : newIdentities(bundles);
}

export function newIdentities(bundles: readonly Bundle[]): Uint32Array {
  const identities = new Uint32Array(bundles.length * IDENTITY_WORDS);
  bundles.forEach((bundle, row) => writeIdentity(identities, row, bundle));
  return identities;
}
