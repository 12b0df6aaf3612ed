import type { BundleRow, CatalogQuery, SearchResult } from '../catalog.ts';
import type { CatalogIndex } from './catalog-index.ts';
import { NoIndexError, OutdatedIndexError } from './errors.ts';

/** The index of one generation, for as long as somebody reads it. */
export interface IndexSnapshot {
  readonly generation: number;
  readonly index: CatalogIndex;
}

/** Which generations are held in memory, read at any time. */
export interface IndexHolderStats {
  /** The one that new queries see; `undefined` before the first. */
  readonly generation: number | undefined;
  /** Generations whose memory is held: the current one, and older ones that are still read. */
  readonly heldGenerations: number;
  /** Reads that go on. */
  readonly readers: number;
  /** The shared memory of all that are held, in bytes. */
  readonly bytes: number;
}

/**
 * The generation that is searched. A query sees one generation from its beginning to its end; {@link swap} changes what
 * the next ones see, and an index is closed when its last reader has ended.
 */
export class IndexHolder {
  #current: Held | undefined;
  /** The current one, and replaced ones that are still read. */
  readonly #held = new Set<Held>();

  /** The generation that new queries see; `undefined` before the first. */
  get generation(): number | undefined {
    return this.#current?.generation;
  }

  /**
   * Lets new queries see this generation. It takes one assignment, however large both are.
   * @throws OutdatedIndexError it is not newer than the current one, which stays.
   */
  swap(generation: number, index: CatalogIndex): void {
    const former = this.#current;
    if (former !== undefined && !(generation > former.generation)) {
      throw new OutdatedIndexError(generation, former.generation);
    }
    this.#current = { generation, index, readers: 0 };
    this.#held.add(this.#current);
    if (former !== undefined) this.#closeUnread(former);
  }

  /**
   * One generation for all that `use` does with it, also when it takes long: several pages of one result, or a result
   * and its documents. It must not use the index after it has settled.
   * @throws NoIndexError
   */
  async read<T>(use: (snapshot: IndexSnapshot) => Promise<T> | T): Promise<T> {
    const held = this.#hold();
    try {
      return await use(held);
    } finally {
      this.#release(held);
    }
  }

  /**
   * See {@link CatalogIndex.search}.
   * @throws NoIndexError
   * @throws InvalidQueryError
   */
  search(query?: CatalogQuery): SearchResult {
    return this.#require().index.search(query);
  }

  /**
   * See {@link CatalogIndex.find}.
   * @throws NoIndexError
   */
  find(name: string): BundleRow | undefined {
    return this.#require().index.find(name);
  }

  getStats(): IndexHolderStats {
    let readers = 0;
    let bytes = 0;
    for (const held of this.#held) {
      readers += held.readers;
      bytes += held.index.bytes;
    }
    return { generation: this.generation, heldGenerations: this.#held.size, readers, bytes };
  }

  #require(): Held {
    if (this.#current === undefined) throw new NoIndexError();
    return this.#current;
  }

  #hold(): Held {
    const held = this.#require();
    held.readers += 1;
    return held;
  }

  #release(held: Held): void {
    held.readers -= 1;
    if (held !== this.#current) this.#closeUnread(held);
  }

  #closeUnread(held: Held): void {
    if (held.readers > 0) return;
    this.#held.delete(held);
    held.index.close();
  }
}

interface Held extends IndexSnapshot {
  readers: number;
}
