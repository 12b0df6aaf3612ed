import type { CatalogPage, PageCounts, PageDigest } from './catalog-client.ts';
import type { DriftKind } from './errors.ts';
import { IDENTITY_WORDS, NAMELESS, NameTable } from './rows/name-table.ts';
import type { HashedBody, ParsedPage, PlacedBundle } from './page-body.ts';
import { Rejections } from './rows/rejections.ts';

/** What keeps the pages of a group from fitting together. */
export interface Drift {
  readonly reason: DriftKind;
  readonly page: number;
  /** From which page on to fetch again. */
  readonly fromPage: number;
  readonly seen: string;
}

/** What is kept of a page when its bundles are handed out. */
interface KeptPage {
  readonly page: number;
  readonly sha256: string;
  readonly rowCount: number;
  readonly identities: Uint32Array;
  readonly bundleCount: number;
  readonly rejections: Rejections;
}

const AS_BEFORE = 'as in the same page before';

/** The pages of one group in one round, and whether they fit together. */
export class GroupPages {
  readonly #group: string;
  readonly #pages: KeptPage[] = [];
  readonly #names = new NameTable();
  readonly #numbers = new Map<string, number>();
  #duplicates: Drift | undefined;
  /** Of the first response; all others have to state the same. */
  #stated: PageCounts | undefined;
  /** The first page that is fetched again: only if it is the same has nothing moved before it. */
  #witness: KeptPage | undefined;
  received = 0;
  /** Valid ones, each name once. */
  bundles = 0;

  /** @param former an earlier round, of which the pages before `fromPage` are kept. */
  constructor(group: string, former?: GroupPages, fromPage = 0) {
    this.#group = group;
    for (const page of former?.pages ?? []) {
      if (page.page >= fromPage) {
        this.#witness = page.page === fromPage ? page : this.#witness;
        continue;
      }
      this.#addNames(page.identities, page.page);
      this.#keep(page);
    }
  }

  get pages(): readonly KeptPage[] {
    return this.#pages;
  }

  /** The rows of the first page, which all but the last have. */
  get pageSize(): number {
    return this.#pages[0]?.rowCount ?? 0;
  }

  get stated(): number | undefined {
    return this.#stated?.rows;
  }

  rejections(): Rejections {
    const all = new Rejections();
    for (const { rejections } of this.#pages) all.addAll(rejections);
    return all;
  }

  /** Whether the API sent just the same in another round: then what is wrong is no drift. */
  isEqualTo(other: GroupPages): boolean {
    const { length } = this.#pages;
    if (length !== other.#pages.length) return false;
    return this.#pages.every(({ sha256 }, at) => sha256 === other.#pages[at]?.sha256);
  }

  /** How many pages there are, if that is stated. */
  get pageCount(): number | undefined {
    const { rows, pageCount } = this.#stated ?? {};
    if (rows === undefined) return undefined;
    const byRows = Math.ceil(rows / this.pageSize);
    // Not believed alone; but if there is a page more, it is looked at.
    return Math.max(byRows, Math.min(byRows + 1, pageCount ?? 0));
  }

  /** Whether the page with this place, from 0, may be one too many. */
  isBeyondRows(at: number): boolean {
    const { stated, pageSize } = this;
    return at > 0 && (stated === undefined || at * pageSize >= stated);
  }

  /** What is wrong with a page before its rows are looked at. */
  check(
    page: number,
    body: Pick<HashedBody, 'sha256'>,
    rowCount: number,
    { rows, pageCount }: PageCounts,
  ): Drift | undefined {
    this.#stated ??= { rows, pageCount };
    if (rows !== this.#stated.rows) {
      const seen = `${this.#stated.rows ?? 'no'} rows were stated, then ${rows ?? 'none'}`;
      return { reason: 'rows-changed', page, fromPage: page, seen };
    }
    const { page: kept, sha256 } = this.#witness ?? {};
    if (kept === page && this.#pages.length > 0 && sha256 !== body.sha256) {
      const seen = 'rows have moved before it';
      return { reason: 'rows-changed', page, fromPage: page, seen };
    }
    const former = this.#numbers.get(body.sha256);
    if (rowCount > 0 && former !== undefined && former !== page) {
      return { reason: 'repeated-page', page, fromPage: page, seen: `it is page ${former} again` };
    }
    return undefined;
  }

  /** Adds a page that is the known one; `undefined` if its names do not permit that. */
  addKnown(
    page: number,
    known: PageDigest,
    { bytes, stated }: Pick<CatalogPage, 'bytes' | 'stated'>,
  ): CatalogPage | undefined {
    const { sha256, identities, rows, rejected } = known;
    for (let row = 0; row < rows; row += 1) {
      if (this.#names.has(identities, row)) return undefined;
    }
    this.#addNames(identities, page);
    const rejections = new Rejections();
    if (rejected > 0) rejections.addCount(AS_BEFORE, rejected);
    const bundleCount = rows - rejected;
    this.#keep({ page, sha256, rowCount: rows, identities, bundleCount, rejections });
    return this.#item({ ...known, page, bytes, stated, bundles: undefined });
  }

  add(page: number, { sha256, bytes }: HashedBody, parsed: ParsedPage): CatalogPage {
    const { rowCount, identities, rejections } = parsed;
    const bundles = parsed.bundles
      .filter((placed) => this.#isFirst(placed, page, parsed))
      .map(({ bundle }) => bundle);
    this.#keep({ page, sha256, rowCount, identities, bundleCount: bundles.length, rejections });
    const rejected = rowCount - bundles.length;
    const stated = { rows: parsed.rows, pageCount: parsed.pageCount };
    const digest = { sha256, rows: rowCount, rejected, identities, stated };
    return this.#item({ ...digest, page, bytes: bytes.length, bundles });
  }

  /** What is wrong when all pages have come. */
  drift(): Drift | undefined {
    const rows = this.stated;
    if (rows === undefined || this.received === rows) return this.#duplicates;
    const last = this.#pages.at(-1)?.page ?? 0;
    const short = this.#pages.find(({ rowCount }) => rowCount < this.pageSize)?.page ?? last;
    const fromPage = Math.min(short, this.#duplicates?.fromPage ?? short);
    const seen = `${rows} rows were stated, and ${this.received} came`;
    const reason = this.received < rows ? 'rows-missing' : 'rows-added';
    return { reason, page: last, fromPage, seen };
  }

  #item(page: Omit<CatalogPage, 'kind' | 'group'>): CatalogPage {
    return { kind: 'page', group: this.#group, ...page };
  }

  #isFirst({ row, bundle }: PlacedBundle, page: number, parsed: ParsedPage): boolean {
    const former = this.#names.add(parsed.identities, row, page);
    if (former === undefined) return true;
    const isSame = former.content === parsed.identities[row * IDENTITY_WORDS + 2];
    const permitted = isSame ? 'only once' : 'only once, and came with other content';
    const { name } = bundle;
    const seen = `also on page ${former.page}`;
    parsed.rejections.add({ field: 'name', permitted, seen, page, row, name: name.slice(0, 60) });
    if (former.page !== page) {
      const fromPage = Math.min(former.page, this.#duplicates?.fromPage ?? former.page);
      this.#duplicates = {
        reason: 'duplicates',
        page,
        fromPage,
        seen: `a name of page ${former.page}`,
      };
    }
    return false;
  }

  #addNames(identities: Uint32Array, page: number): void {
    for (let row = 0; row * IDENTITY_WORDS < identities.length; row += 1) {
      if (identities[row * IDENTITY_WORDS + 2] !== NAMELESS) this.#names.add(identities, row, page);
    }
  }

  #keep(page: KeptPage): void {
    this.#pages.push(page);
    if (page.rowCount > 0) this.#numbers.set(page.sha256, page.page);
    this.received += page.rowCount;
    this.bundles += page.bundleCount;
  }
}
