import { requireNode } from '@holdfast/foundation';
import {
  type HealthState,
  type ResilienceStack,
  createResilienceStack,
} from '@holdfast/resilience';
import type {
  DistrictFeature,
  LayerExtractor,
  LayerResult,
  LegislativeLayerType,
} from '../atlas.ts';
import { EndpointUnknownError, LayerIncompleteError, LayerTooLargeError } from '../errors.ts';
import { checkFeature } from '../geometry/check-feature.ts';
import {
  type ResolvedExtractorOptions,
  type StateBatchExtractorOptions,
  parseExtractorOptions,
} from './extractor-options.ts';
import { type PortalPage, pageOf, readDocument } from './portal-page.ts';

/** A layer as it was extracted: every feature once. */
export interface ExtractedLayer extends LayerResult {
  readonly success: true;
  readonly features: readonly DistrictFeature[];
  readonly rejected: Readonly<Record<string, number>>;
  /** Rings that ran the wrong way and were turned round. */
  readonly rewound: number;
  /** Features that were sent again on a later page. */
  readonly duplicates: number;
  readonly pages: number;
}

/** Pages of one layer that were taken so far. */
class LayerPages {
  readonly features: DistrictFeature[] = [];
  readonly rejected: Record<string, number> = {};
  rewound = 0;
  duplicates = 0;
  pages = 0;
  /** Features that were sent, sound or not, each once. */
  received = 0;
  readonly #ids = new Set<unknown>();

  add({ features }: PortalPage): void {
    this.pages += 1;
    for (const feature of features) {
      const id = idOf(feature);
      if (id !== undefined && this.#ids.has(id)) {
        this.duplicates += 1;
        continue;
      }
      this.#ids.add(id);
      this.received += 1;
      const checked = checkFeature(feature);
      if (checked.kind === 'rejected') {
        this.rejected[checked.reason] = (this.rejected[checked.reason] ?? 0) + 1;
        continue;
      }
      this.rewound += checked.rewound;
      this.features.push(checked.feature);
    }
  }
}

/**
 * Extracts districts page by page from services of ArcGIS. Each endpoint has a stack of its own: a portal that fails
 * opens its own circuit and leaves the others alone, and its `Retry-After` is waited for.
 */
export class StateBatchExtractor implements LayerExtractor {
  readonly #options: ResolvedExtractorOptions;
  readonly #stacks = new Map<string, ResilienceStack>();

  /** @throws InvalidOptionError */
  constructor(options: StateBatchExtractorOptions = {}) {
    requireNode('StateBatchExtractor');
    this.#options = parseExtractorOptions(options);
  }

  /**
   * All features of a layer that are districts, each once, and how many are not.
   * @throws EndpointUnknownError, LayerIncompleteError, LayerTooLargeError; of a page, the errors of a stack and what the
   * portal answered at last; the signal's reason
   */
  async extractLayer(
    state: string,
    layer: LegislativeLayerType,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ExtractedLayer> {
    const endpoint = this.#options.endpoints[state]?.[layer];
    if (endpoint === undefined) throw new EndpointUnknownError(state, layer);
    const { pageSize, maxPages, maxFeatures } = this.#options;
    const taken = new LayerPages();
    const counting = { returnCountOnly: 'true', f: 'json' };
    const { count } = await this.#get(endpoint, counting, signal, (document) => document);
    let offset = 0;
    while (true) {
      const query = pageQuery(offset, pageSize);
      const page = await this.#get(endpoint, query, signal, (document) =>
        pageOf(endpoint, document),
      );
      taken.add(page);
      // The portal may send fewer than were asked for.
      offset += page.features.length;
      if (!page.isCut) break;
      if (taken.pages >= maxPages) throw new LayerTooLargeError(endpoint, `${maxPages} pages`);
      if (offset >= maxFeatures) throw new LayerTooLargeError(endpoint, `${maxFeatures} features`);
    }
    if (typeof count === 'number' && taken.received !== count) {
      throw new LayerIncompleteError(endpoint, taken.received, count);
    }
    const { features, rejected, rewound, duplicates, pages } = taken;
    const found = { features, rejected, rewound, duplicates, pages };
    return { success: true, featureCount: features.length, ...found };
  }

  /** The stacks of the endpoints that were asked, for metrics. */
  stacks(): readonly ResilienceStack[] {
    return [...this.#stacks.values()];
  }

  /** The health of each endpoint that was asked. */
  getHealthState(): Readonly<Record<string, HealthState>> {
    return Object.fromEntries(
      Array.from(this.#stacks, ([endpoint, stack]) => [endpoint, stack.getHealthState()]),
    );
  }

  /** Refuses later pages; what is asked for ends. Calling it twice does nothing more. */
  async close(): Promise<void> {
    await Promise.all(this.stacks().map((stack) => stack.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What cannot be read counts as a failure of the portal, and is asked for again. */
  #get<T>(
    endpoint: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
    read: (document: Record<string, unknown>) => T,
  ): Promise<T> {
    const { fetch, maxPageBytes: maxBytes, clock } = this.#options;
    const search = new URLSearchParams({ ...ALL, ...query }).toString();
    const url = `${endpoint.replace(/\/+$/, '')}/query?${search}`;
    return this.#stackOf(endpoint).execute(
      async (within) => {
        const response = await fetch(url, { headers: HEADERS, signal: within });
        return read(await readDocument(endpoint, response, { maxBytes, epochMs: clock.epochMs() }));
      },
      { signal },
    );
  }

  #stackOf(endpoint: string): ResilienceStack {
    const known = this.#stacks.get(endpoint);
    if (known !== undefined) return known;
    const { circuitBreaker, retry, rateLimiter, timeoutMs, clock, random } = this.#options;
    const { host, pathname } = new URL(endpoint);
    const stack = createResilienceStack({
      name: `upstream-${host}${pathname}`.slice(0, MAX_NAME),
      circuitBreaker,
      retry,
      rateLimiter: { maxWaitMs: timeoutMs, ...rateLimiter },
      timeoutMs,
      clock,
      random,
    });
    this.#stacks.set(endpoint, stack);
    return stack;
  }
}

const MAX_NAME = 200;
const HEADERS = { accept: 'application/json', 'user-agent': 'holdfast-atlas' };
const ALL = { where: '1=1' };

function pageQuery(offset: number, pageSize: number): Record<string, string> {
  return {
    f: 'geojson',
    outFields: '*',
    outSR: '4326',
    // Without an order a portal may send a feature on two pages, and another on none.
    orderByFields: 'OBJECTID',
    resultOffset: String(offset),
    resultRecordCount: String(pageSize),
  };
}

function idOf(feature: unknown): unknown {
  if (typeof feature !== 'object' || feature === null || !('id' in feature)) return undefined;
  return feature.id;
}
