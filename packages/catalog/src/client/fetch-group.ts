import type { Emitter } from '@holdfast/foundation';
import type {
  CatalogClientEvents,
  CatalogItem,
  CatalogPage,
  FetchBundlesOptions,
  FetchedPage,
  PageDigest,
  Paging,
} from './catalog-client.ts';
import {
  CatalogApiError,
  CatalogDriftError,
  CatalogGroupError,
  CatalogMalformedError,
  CatalogRequestRefusedError,
  CatalogRowsRejectedError,
  CatalogShrunkError,
  CatalogUnauthorizedError,
} from './errors.ts';
import { type Drift, GroupPages } from './group-pages.ts';
import { IDENTITY_WORDS, NAMELESS } from './rows/name-table.ts';
import type { CatalogClientSettings } from './options.ts';
import { type HashedBody, hashBody, parsePage } from './page-body.ts';
import { type Arrived, PageQueue } from './page-queue.ts';
import { type PageRefusal, isEqualPaging, isRefusal, pagePath } from './paging.ts';
import { Rejections } from './rows/rejections.ts';
import type { Requests } from './requests.ts';

interface GroupDeps {
  readonly settings: CatalogClientSettings;
  readonly requests: Requests;
  readonly emitter: Emitter<CatalogClientEvents>;
  readonly counts: { pages: number; unchangedPages: number };
}

export interface GroupOptions extends FetchBundlesOptions {
  readonly signal: AbortSignal;
  /** The paging was found out by an earlier request, and may fit no longer. */
  readonly isRemembered: boolean;
}

/** Fetches one group: its pages in order, and then how it ended. */
export class GroupFetch {
  readonly #deps: GroupDeps;
  readonly #group: string;
  readonly #paging: Paging;
  readonly #options: GroupOptions;
  readonly #signal: AbortSignal;
  #pages: GroupPages;

  constructor(deps: GroupDeps, group: string, paging: Paging, options: GroupOptions) {
    this.#deps = deps;
    this.#group = group;
    this.#paging = paging;
    this.#options = options;
    this.#signal = options.signal;
    this.#pages = new GroupPages(group);
  }

  /**
   * Returns why the first page was refused where the paging is `remembered`, and may fit no longer.
   * @throws CatalogUnauthorizedError; the signal's own reason
   */
  async *run(): AsyncGenerator<CatalogItem, PageRefusal | undefined, undefined> {
    const group = this.#group;
    try {
      yield* this.#rounds();
      const rejections = this.#pages.rejections();
      if (rejections.rejected > 0) this.#deps.emitter.emit('rejected', { group, rejections });
      this.#judge(rejections);
      const pages = this.#pages.pages.map(({ page, sha256 }) => ({ page, sha256 }));
      yield { kind: 'fetched', group, rows: this.#pages.bundles, pages, rejections };
    } catch (error) {
      this.#signal.throwIfAborted();
      if (this.#isUnproven && isRefusal(error)) return error;
      if (error instanceof CatalogUnauthorizedError) throw error;
      if (!(error instanceof CatalogApiError || error instanceof CatalogGroupError)) throw error;
      yield { kind: 'failed', group, error, rejections: this.#pages.rejections() };
    }
    return undefined;
  }

  get #isUnproven(): boolean {
    return this.#options.isRemembered && this.#pages.pages.length === 0;
  }

  /** All pages; where they do not fit together, the tail again, and then all of it once. */
  async *#rounds(): AsyncGenerator<CatalogPage, void, undefined> {
    const { firstPage } = this.#paging;
    let fromPage = firstPage;
    let wholeRounds = 0;
    while (true) {
      const former = this.#pages;
      this.#pages = new GroupPages(this.#group, former, fromPage);
      const isWhole = fromPage === firstPage;
      if (isWhole) wholeRounds += 1;
      const drift = yield* this.#round(fromPage, isWhole && wholeRounds === 1);
      if (drift === undefined) return;
      const { reason, page, seen } = drift;
      // What comes twice in just the same way is how the API has it; its rows are rejected as duplicates.
      if (reason === 'duplicates' && wholeRounds > 1 && this.#pages.isEqualTo(former)) return;
      if (reason === 'endless' || wholeRounds > 1) {
        throw new CatalogDriftError(this.#group, reason, page, seen);
      }
      // The tail, and one page before it as a witness; after a tail, all of it.
      fromPage = isWhole ? Math.max(firstPage, drift.fromPage - 1) : firstPage;
      this.#deps.emitter.emit('drifted', { group: this.#group, reason, page, fromPage });
    }
  }

  async *#round(
    fromPage: number,
    isFirst: boolean,
  ): AsyncGenerator<CatalogPage, Drift | undefined, undefined> {
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#signal, controller.signal]);
    const queue = new PageQueue(fromPage, async (page): Promise<Arrived> => {
      const interrupted = isFirst ? this.#interruptedPage(page) : undefined;
      return interrupted ?? this.#get(page, signal);
    });
    try {
      queue.fill(1, fromPage);
      for (let next = queue.take(); next !== undefined; next = queue.take()) {
        const arrived = await next.arrived;
        if (arrived === undefined) break;
        const result = await this.#read(next.page, arrived, signal);
        if (result === undefined) break;
        if ('reason' in result) return result;
        const lastPage = this.#lastPage(next.page, result.rows);
        const { maxPages } = this.#deps.settings;
        if (lastPage >= this.#paging.firstPage + maxPages) {
          const seen = `more than ${maxPages} pages`;
          return { reason: 'endless', page: next.page, fromPage, seen };
        }
        yield result;
        // After it: what its consumer has not taken yet counts as in flight.
        queue.fill(this.#ahead(), lastPage);
        if (next.page >= lastPage) break;
      }
      return this.#pages.drift();
    } finally {
      controller.abort();
    }
  }

  /** A page beyond the last one may be refused: where nobody says how many there are, or wrongly. */
  async #get(page: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const path = pagePath(this.#group, page, this.#paging);
    const isBeyond = this.#pages.isBeyondRows(page - this.#paging.firstPage);
    try {
      return await this.#deps.requests.get(path, signal, this.#isUnproven);
    } catch (error) {
      if (!isBeyond || !(error instanceof CatalogRequestRefusedError)) throw error;
      return undefined;
    }
  }

  #interruptedPage(page: number): FetchedPage | undefined {
    const { interrupted } = this.#options;
    if (interrupted === undefined) return undefined;
    if (!isEqualPaging(interrupted.paging, this.#paging)) return undefined;
    const fetched = interrupted.page(this.#group, page);
    return fetched !== undefined && isExact(fetched) ? fetched : undefined;
  }

  async #read(
    page: number,
    arrived: Uint8Array | FetchedPage,
    signal: AbortSignal,
  ): Promise<CatalogPage | Drift | undefined> {
    if (arrived instanceof Uint8Array) return this.#readBody(page, hashBody(arrived));
    const { rows, stated } = arrived;
    const drift = this.#pages.check(page, arrived, rows, stated);
    const item = drift ?? this.#pages.addKnown(page, arrived, { bytes: 0, stated });
    if (item !== undefined) return item;
    // It has names of pages before it: which of its rows count, only the rows tell.
    const body = await this.#get(page, signal);
    return body === undefined ? undefined : this.#readBody(page, hashBody(body));
  }

  #readBody(page: number, body: HashedBody): CatalogPage | Drift {
    this.#deps.counts.pages += 1;
    const known = this.#knownPage(page, body);
    if (known !== undefined) {
      const drift = this.#pages.check(page, body, known.rows, body);
      const stated = { rows: body.rows, pageCount: body.pageCount };
      const item = drift ?? this.#pages.addKnown(page, known, { bytes: body.bytes.length, stated });
      if (item !== undefined) {
        this.#deps.counts.unchangedPages += 'reason' in item ? 0 : 1;
        return item;
      }
    }
    const parsed = parsePage(body.bytes, page);
    if (!('rowCount' in parsed)) {
      const path = pagePath(this.#group, page, this.#paging);
      throw new CatalogMalformedError(path, parsed.reason, parsed.cause);
    }
    const drift = this.#pages.check(page, body, parsed.rowCount, parsed);
    return drift ?? this.#pages.add(page, body, parsed);
  }

  #knownPage(page: number, body: HashedBody): PageDigest | undefined {
    const known = body.isCounted ? this.#options.known?.(this.#group, page) : undefined;
    if (known === undefined || known.sha256 !== body.sha256) return undefined;
    return isExact(known) ? known : undefined;
  }

  /** The last page as far as is known after a page of `rows` rows. */
  #lastPage(page: number, rows: number): number {
    const { firstPage } = this.#paging;
    const { pageCount, pageSize } = this.#pages;
    if (rows === 0) return page;
    if (pageCount !== undefined) return firstPage + pageCount - 1;
    // The first may have fewer rows than asked for because the API permits no more.
    const isLast = page > firstPage && rows < pageSize;
    return isLast ? page : page + this.#ahead();
  }

  /** Without counts, no more pages than have come: those beyond the end are asked for in vain. */
  #ahead(): number {
    const { maxInFlight } = this.#deps.settings;
    if (this.#pages.stated !== undefined) return maxInFlight;
    return Math.min(maxInFlight, Math.max(1, this.#pages.pages.length));
  }

  #judge(rejections: Rejections): void {
    const { maxRejectedShare, maxShrinkShare } = this.#deps.settings;
    const { received, bundles } = this.#pages;
    if (rejections.rejected > received * maxRejectedShare) {
      const { rejected } = rejections;
      throw new CatalogRowsRejectedError(this.#group, rejected, received, maxRejectedShare);
    }
    const previous = this.#options.previousRows?.get(this.#group) ?? 0;
    if (this.#options.allowShrink !== true && bundles < previous * (1 - maxShrinkShare)) {
      throw new CatalogShrunkError(this.#group, bundles, previous);
    }
  }
}

/** Whether all valid rows of the page were handed out: one that was left out as a duplicate may be none any more. */
function isExact({ identities, rows, rejected }: PageDigest): boolean {
  if (identities.length !== rows * IDENTITY_WORDS) return false;
  let named = 0;
  for (let at = IDENTITY_WORDS - 1; at < identities.length; at += IDENTITY_WORDS) {
    if (identities[at] !== NAMELESS) named += 1;
  }
  return named === rows - rejected;
}
