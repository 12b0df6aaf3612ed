import type { BundleRow, CatalogQuery, FacetCount, SearchResult } from '../catalog.ts';
import { IndexClosedError, InvalidIndexError, InvalidQueryError } from './errors.ts';
import { INDEX_FORMAT, type IndexBuffers, bytesOfIndex } from './format/index-buffers.ts';
import { type Columns, openColumns } from './query/columns.ts';
import { facetCounts } from './query/facets.ts';
import { pageOf } from './query/page.ts';
import { parseQuery } from './query/parse-query.ts';
import { RowReader } from './query/row-reader.ts';
import { Selector } from './query/selector.ts';

/** The bundles of one generation, which never change. Every answer is of all of them. */
export interface CatalogIndex {
  readonly rows: number;
  /** The shared memory that it takes, in bytes. */
  readonly bytes: number;
  /**
   * Bundles that meet all filters, a page of them, how many there are, and the facets.
   * @throws InvalidQueryError naming the filter, the value and what is permitted.
   * @throws IndexClosedError
   */
  search(query?: CatalogQuery): SearchResult;
  /**
   * The bundle with the name; case counts.
   * @throws IndexClosedError
   */
  find(name: string): BundleRow | undefined;
  /** Lets go of the shared memory. Closing twice does nothing. */
  close(): void;
}

/**
 * Opens an index that `buildIndex` or `IndexBuilder` made, in this thread or another; nothing is copied.
 * @throws InvalidIndexError the buffers are of another version.
 */
export function openIndex(buffers: IndexBuffers): CatalogIndex {
  return new OpenIndex(buffers);
}

interface Readers {
  readonly columns: Columns;
  readonly selector: Selector;
  readonly reader: RowReader;
}

class OpenIndex implements CatalogIndex {
  readonly rows: number;
  readonly bytes: number;
  #open: Readers | undefined;

  constructor(buffers: IndexBuffers) {
    if (buffers?.format !== INDEX_FORMAT || buffers.documents?.length !== buffers.rows) {
      throw new InvalidIndexError(`the buffers are no index of version ${INDEX_FORMAT}`);
    }
    const columns = openColumns(buffers);
    this.rows = buffers.rows;
    this.bytes = bytesOfIndex(buffers);
    this.#open = { columns, selector: new Selector(columns), reader: new RowReader(columns) };
  }

  search(query: CatalogQuery = {}): SearchResult {
    const parsed = parseQuery(query);
    const { columns, selector, reader } = this.#readers();
    const selection = selector.select(parsed);
    const page = pageOf(columns, selector, selection, parsed);
    const rows = page.map((row) => reader.read(row));
    const facets: { [facet: string]: readonly FacetCount[] } = {};
    if (parsed.facets.length > 0) {
      const words = selection.total === columns.rows ? undefined : selector.toSet(selection);
      for (const facet of parsed.facets) facets[facet] = facetCounts(columns, facet, words);
    }
    return { total: selection.total, rows, facets };
  }

  find(name: string): BundleRow | undefined {
    if (typeof name !== 'string') throw new InvalidQueryError('name', name, 'a string');
    const { columns, reader } = this.#readers();
    const rank = columns.names.find(name);
    return rank === -1 ? undefined : reader.read(columns.nameOrder[rank] ?? 0);
  }

  close(): void {
    this.#open = undefined;
  }

  #readers(): Readers {
    if (this.#open === undefined) throw new IndexClosedError();
    return this.#open;
  }
}
