import { type Clock, type Random, derivedSeed, seededRandom } from '@holdfast/foundation';
import { reuseWhileEqual } from '../../control/reuse-while-equal.ts';
import type { CatalogSource, RowQuery } from '../catalog/catalog-source.ts';
import { ListedCatalog } from '../catalog/listed-catalog.ts';
import { SyntheticCatalog, type SyntheticOptions } from '../catalog/synthetic-catalog.ts';
import { type BodyPieces, damaged, listPieces } from './body.ts';
import {
  type EsimGoCall,
  type EsimGoFault,
  type EsimGoFaultHook,
  type EsimGoOperation,
  esimGoFaultHook,
} from './faults.ts';
import type { EsimGoSettings } from './options.ts';
import { EsimGoError, parsePageQuery } from './query.ts';
import { type Allowance, FixedWindowLimit, type RateLimitStats } from './rate-limit.ts';
import {
  type EsimGoResponse,
  deliver,
  errorResponse,
  groupsBody,
  outageResponse,
  rateLimitedResponse,
  responseInstead,
} from './responses.ts';
import { type EsimGoRoute, routeOf } from './route.ts';

/** A request to the API, from whichever transport. */
interface EsimGoRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly apiKey: string | undefined;
  /** By which the rate limit counts. */
  readonly address: string;
}

/** One request and the status of its response. */
export interface EsimGoRequestRecord extends EsimGoCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** 0 where the connection was reset, or nothing was sent. */
  readonly status: number;
  /** When it arrived, in milliseconds since the Unix epoch. */
  readonly atMs: number;
}

/** What the API has been asked since it was made. */
export interface EsimGoStats {
  /** Requests by operation, including those that were refused or had a fault injected. */
  readonly requests: Readonly<Record<EsimGoOperation, number>>;
  readonly rateLimit: RateLimitStats;
  /** The most requests that were answered at a time. */
  readonly peakInFlight: number;
}

const MAX_SELECTIONS = 8;
/** Only so that a path can be parsed. */
const ORIGIN = 'http://emulator';

/** The API without a transport: what it responds to each request. Plain state: no sockets, no waiting. */
export class EsimGoApi {
  readonly #clock: Clock;
  readonly #onRequest: (record: EsimGoRequestRecord) => void;
  readonly #requests: Record<EsimGoOperation, number> = { catalogue: 0, bundle: 0, groups: 0 };
  readonly #selections = new Map<string, Uint32Array>();
  readonly #partsOf: (settings: EsimGoSettings) => Parts;
  #parts: Parts;
  #inFlight = 0;
  #peakInFlight = 0;

  /** @param onRequest called with each request when its status is known. */
  constructor(
    settings: EsimGoSettings,
    clock: Clock,
    onRequest: (record: EsimGoRequestRecord) => void = () => {},
  ) {
    this.#clock = clock;
    this.#onRequest = onRequest;
    this.#partsOf = reuseParts(clock);
    this.#parts = this.#partsOf(settings);
  }

  get settings(): EsimGoSettings {
    return this.#parts.settings;
  }

  get groups(): readonly string[] {
    return this.#parts.catalog.groups;
  }

  /** Puts settings into force; parts that do not change keep their counters. */
  apply(settings: EsimGoSettings): void {
    const parts = this.#partsOf(settings);
    if (parts.catalog !== this.#parts.catalog) this.#selections.clear();
    this.#parts = parts;
  }

  /** Replaces the faults by a function, until settings are applied. */
  injectBy(hook: EsimGoFaultHook): void {
    this.#parts = { ...this.#parts, faults: hook };
  }

  /** Adds rows to a group, or removes them with a negative number. */
  drift(group: string | undefined, rows: number): void {
    this.#parts.catalog.drift(group, rows);
    this.#selections.clear();
  }

  getStats(): EsimGoStats {
    return {
      requests: { ...this.#requests },
      rateLimit: this.#parts.limit.stats,
      peakInFlight: this.#peakInFlight,
    };
  }

  /** To be called once a response was delivered, or its client has disconnected. */
  settle(): void {
    this.#inFlight -= 1;
  }

  respond(request: EsimGoRequest): EsimGoResponse {
    const { method, path } = request;
    this.#inFlight += 1;
    this.#peakInFlight = Math.max(this.#peakInFlight, this.#inFlight);
    const url = new URL(URL.canParse(path, ORIGIN) ? path : '/', ORIGIN);
    const route = routeOf(url);
    const atMs = this.#clock.epochMs();
    const allowance = this.#parts.limit.take(request.address);
    const response = this.#respond(request, url, route, allowance);
    if (route !== undefined) {
      this.#requests[route.call.operation] += 1;
      const { delivery } = response;
      const status = delivery === 'silent' || delivery === 'reset' ? 0 : response.status;
      this.#onRequest({ method, path, ...route.call, status, atMs });
    }
    const headers = { ...allowance.headers, ...response.headers };
    return { ...response, headers, delayMs: response.delayMs + this.settings.latencyMs };
  }

  #respond(
    { method, apiKey }: EsimGoRequest,
    url: URL,
    route: EsimGoRoute | undefined,
    { isAllowed, retryAfterS }: Allowance,
  ): EsimGoResponse {
    if (!isAllowed) return rateLimitedResponse(retryAfterS);
    // Drawn for every request, so that the failures of a seed do not depend on anything else.
    const drawn = this.#parts.random();
    const { failureRate, invalidKeyStatus } = this.settings;
    if (drawn < failureRate) return outageResponse(drawn / failureRate);
    try {
      const fault = route === undefined ? undefined : this.#parts.faults(route.call);
      const instead = fault === undefined ? undefined : responseInstead(fault);
      if (instead !== undefined) return instead;
      if (apiKey !== this.settings.apiKey) {
        throw new EsimGoError(invalidKeyStatus, 'Access denied: the API key is not valid');
      }
      if (route === undefined) throw new EsimGoError(404, 'Not found');
      if (method !== 'GET' && method !== 'HEAD') throw new EsimGoError(405, 'Method not allowed');
      return deliver(this.#bodyOf(route, url.searchParams, fault), fault);
    } catch (error) {
      if (error instanceof EsimGoError) return errorResponse(error.status, error.message);
      throw error;
    }
  }

  #bodyOf({ call, name }: EsimGoRoute, query: URLSearchParams, fault?: EsimGoFault): BodyPieces {
    if (fault?.kind === 'drift') this.drift(call.group, fault.rows);
    if (call.operation === 'groups') return [groupsBody(this.#parts.catalog.groups)];
    if (call.operation === 'catalogue') return this.#pageOf(query, fault);
    const row = this.#parts.catalog.find(name);
    if (row === undefined) throw new EsimGoError(404, 'Bundle not found');
    const texts = [this.#parts.catalog.textOf(row)];
    return fault?.kind === 'damage' ? damaged(texts, fault) : texts;
  }

  #pageOf(query: URLSearchParams, fault?: EsimGoFault): BodyPieces {
    const { firstPage, envelope } = this.settings;
    const { page: asked, perPage, rows: filter } = parsePageQuery(query, this.settings);
    const page = fault?.kind === 'page' ? Math.max(firstPage, fault.page) : asked;
    const selected = this.#select(filter);
    const start = (page - firstPage) * perPage;
    const rows = selected.subarray(start, start + perPage);
    // As it is now: what drifts while the body is sent does not change it.
    const catalog = this.#parts.catalog;
    const texts = textsOf(catalog, rows);
    const items = fault?.kind === 'damage' ? damaged(texts, fault) : texts;
    if (envelope === 'array') return listPieces('[', items, ']');
    const counts = {
      pageCount: Math.ceil(selected.length / perPage),
      rows: selected.length,
      pageSize: perPage,
      ...(fault?.kind === 'counts' && { ...fault, kind: undefined }),
    };
    return listPieces('{"bundles":[', items, `],${JSON.stringify(counts).slice(1)}`);
  }

  #select(filter: RowQuery): Uint32Array {
    const key = JSON.stringify(filter);
    const known = this.#selections.get(key);
    this.#selections.delete(key);
    const selected = known ?? this.#parts.catalog.select(filter);
    const [oldest] = this.#selections.keys();
    if (oldest !== undefined && this.#selections.size >= MAX_SELECTIONS) {
      this.#selections.delete(oldest);
    }
    this.#selections.set(key, selected);
    return selected;
  }
}

function* textsOf(catalog: CatalogSource, rows: Uint32Array): Generator<string> {
  for (const row of rows) yield catalog.textOf(row);
}

/** What is made of settings. */
interface Parts {
  readonly settings: EsimGoSettings;
  readonly catalog: CatalogSource;
  readonly limit: FixedWindowLimit;
  readonly random: Random;
  readonly faults: EsimGoFaultHook;
}

/** Makes parts again only where their settings differ from the last ones. */
function reuseParts(clock: Clock): (settings: EsimGoSettings) => Parts {
  const syntheticOf = reuseWhileEqual((options: SyntheticOptions) => new SyntheticCatalog(options));
  const listedOf = reuseWhileEqual((bundles: readonly unknown[]) => new ListedCatalog(bundles));
  const limitOf = reuseWhileEqual(
    (limit: EsimGoSettings['rateLimit']) => new FixedWindowLimit(limit, clock),
  );
  // A new rate restarts the random numbers too.
  const randomOf = reuseWhileEqual(([seed]: readonly [seed: number, failureRate: number]) =>
    seededRandom(derivedSeed(seed, 1)),
  );
  const faultsOf = reuseWhileEqual(esimGoFaultHook);
  return (settings) => {
    const { bundles, seed, rows, revision, changedShare, roaming } = settings;
    const synthetic = { seed, rows, revision, changedShare, roaming };
    return {
      settings,
      catalog: bundles === undefined ? syntheticOf(synthetic) : listedOf(bundles),
      limit: limitOf(settings.rateLimit),
      random: randomOf([seed, settings.failureRate]),
      faults: faultsOf(settings.faults),
    };
  };
}
