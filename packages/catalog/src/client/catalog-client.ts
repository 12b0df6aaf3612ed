/**
 * What the client promises:
 *
 * - Rate: no request that the API would refuse; after a 429 of others' making it waits as told, and asks for less.
 * - Whole: a group is `fetched` only if its pages fit together; otherwise it is `failed`, and the others go on.
 * - Valid: every row that is handed out has the required fields; others are counted, and too many fail their group.
 * - Bound: one deadline a request, at most `maxInFlight` requests, no page fetched far ahead of its consumer.
 */
import type { Clock, Random, Subscribe } from '@holdfast/foundation';
import type { Bundle } from '../catalog.ts';
import type { CatalogGroupError, CatalogApiError, DriftKind } from './errors.ts';
import type { RejectionReport } from './rows/rejections.ts';

/** The part of `fetch` that is needed; it must settle when the signal aborts, and retry nothing. */
export type CatalogFetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal; redirect: 'manual' },
) => Promise<Response>;

/** Options of `createCatalogClient`. All times in milliseconds. */
export interface CatalogClientOptions {
  /** Sent as `X-API-Key`. */
  readonly apiKey: string;
  /** Default `https://api.esim-go.com/v2.5`. */
  readonly baseUrl?: string;
  /** Default: a resilient fetch of its own that retries nothing. */
  readonly fetch?: CatalogFetch;
  /** From the request to the last byte of the response, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number;
  /** Attempts of a request that times out or loses its connection. Default 3. */
  readonly maxAttempts?: number;
  /** Attempts of a request that gets a 5xx. Default 1, so that a fallback answers at once. */
  readonly maxServerAttempts?: number;
  /** How often a request is refused with 429 before it fails. Default 5. */
  readonly maxRateLimitRetries?: number;
  /** The longest pause that a 429 may ask for, in milliseconds. Default 60 000. */
  readonly maxPauseMs?: number;
  /** Requests at a time. Default 8. */
  readonly maxInFlight?: number;
  /** Rows a page, tried in this order until the API takes one. Default 1 000, 500, 100, 50. */
  readonly perPage?: readonly number[];
  /** Bytes of one response. Default 33 554 432. */
  readonly maxPageBytes?: number;
  /** Pages of one group. Default 20 000. */
  readonly maxPages?: number;
  /** The share of rejected rows, 0 to 1, over which a group fails. Default 0.02. */
  readonly maxRejectedShare?: number;
  /** The share of its rows, 0 to 1, that a group may lose. Default 0.1. */
  readonly maxShrinkShare?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

/** What recognizes a page that has not changed; store it beside the page's bundles. */
export interface PageDigest {
  /** Of the rows as sent, in hexadecimal; not of the counts that follow them. */
  readonly sha256: string;
  /** As sent, rejected ones included. */
  readonly rows: number;
  /** Rows that are not in `bundles`. */
  readonly rejected: number;
  /** Three numbers for each row as sent: two of its name, one of its content. */
  readonly identities: Uint32Array;
}

/** What an envelope tells of all pages; `undefined` in the bare form, and for what is no count. */
export interface PageCounts {
  readonly rows: number | undefined;
  readonly pageCount: number | undefined;
}

/** A page as it came, without its bundles. */
export interface FetchedPage extends PageDigest {
  readonly stated: PageCounts;
}

/** What a fetch had when its process ended. Its pages are checked like others, but not asked for. */
export interface InterruptedFetch {
  /** How its pages were asked for: with any other paging they are of no use. */
  readonly paging: Paging;
  readonly page: (group: string, page: number) => FetchedPage | undefined;
}

/** One page; one with the same number that comes later takes its place. */
export interface CatalogPage extends FetchedPage {
  readonly kind: 'page';
  readonly group: string;
  /** As the API counts, from 0 or 1. */
  readonly page: number;
  /** Of the response; 0 for a page of an interrupted fetch. */
  readonly bytes: number;
  /** `undefined` for a page that is the known one, or of an interrupted fetch: it was not parsed. Names may repeat those of other groups. */
  readonly bundles: readonly Bundle[] | undefined;
}

/** All pages of a group have come, and fit together. */
export interface GroupFetched {
  readonly kind: 'fetched';
  readonly group: string;
  /** Valid ones, each name once. */
  readonly rows: number;
  /** Which of its pages make the group, in order; any others are to be dropped. */
  readonly pages: readonly { readonly page: number; readonly sha256: string }[];
  readonly rejections: RejectionReport;
}

/** Nothing of the group may be used. */
export interface GroupFailed {
  readonly kind: 'failed';
  readonly group: string;
  readonly error: CatalogApiError | CatalogGroupError;
  readonly rejections: RejectionReport;
}

/** What a fetch yields: a page, the end of a group, or the failure of one. */
export type CatalogItem = CatalogPage | GroupFetched | GroupFailed;

/** Options of one fetch of all bundles. */
export interface FetchBundlesOptions {
  /** Ends the fetch; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Only these, such as those that failed before. Default: what the API lists. */
  readonly groups?: readonly string[];
  /** The digest of a page that is at hand. */
  readonly known?: (group: string, page: number) => PageDigest | undefined;
  /** The fetch that this one goes on with. */
  readonly interrupted?: InterruptedFetch | undefined;
  /** The rows of the groups in the last generation; one that the API no longer lists has failed. */
  readonly previousRows?: ReadonlyMap<string, number>;
  /** Accept groups that have lost more rows than `maxShrinkShare`. Default false. */
  readonly allowShrink?: boolean;
}

/** What was found out about paging; remembered until it proves wrong. */
export interface Paging {
  readonly firstPage: number;
  readonly perPage: number;
  /** Whether the API takes the `orderBy` that keeps the order of rows. */
  readonly isOrdered: boolean;
}

/** The events of a client, by name. */
export interface CatalogClientEvents {
  /** A person has to look: the key is refused. */
  alert: { readonly path: string; readonly status: number; readonly message: string };
  /** A 5xx. */
  'server-error': {
    readonly path: string;
    readonly status: number;
    readonly message: string;
    readonly retryAfterMs: number | undefined;
  };
  /** A timeout, a lost connection or a 5xx, after which the request is made again. */
  retried: { readonly path: string; readonly attempt: number; readonly error: CatalogApiError };
  'rate-limited': { readonly path: string; readonly pauseMs: number };
  probed: Paging;
  /** Pages do not fit together; they are fetched again from `fromPage` on. */
  drifted: {
    readonly group: string;
    readonly reason: DriftKind;
    readonly page: number;
    readonly fromPage: number;
  };
  /** A group has ended with rejected rows. */
  rejected: { readonly group: string; readonly rejections: RejectionReport };
}

/** What a client has asked and got since it was made. */
export interface CatalogClientStats {
  readonly requests: number;
  readonly rateLimited: number;
  readonly bytes: number;
  readonly pages: number;
  /** Of these, recognized by their hash. */
  readonly unchangedPages: number;
  readonly paging: Paging | undefined;
}

/** Fetches the bundles of the eSIM Go API. */
export interface CatalogClient {
  /** The names of the groups. @throws CatalogApiError; the signal's own reason */
  listGroups(options?: { signal?: AbortSignal }): Promise<readonly string[]>;
  /**
   * The pages of each group and then how it ended. Breaking out of the iteration cancels all requests.
   * @throws CatalogUnauthorizedError; CatalogApiError if the groups cannot be listed; the signal's own reason
   */
  fetchBundles(options?: FetchBundlesOptions): AsyncGenerator<CatalogItem, void, undefined>;
  readonly on: Subscribe<CatalogClientEvents>;
  getStats(): CatalogClientStats;
  /** Cancels what runs, and closes its own connections. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
