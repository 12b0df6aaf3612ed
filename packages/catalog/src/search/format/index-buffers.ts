import type { Codes } from './numbers.ts';

/** Raised with each change of the layout: buffers of another version are refused. */
export const INDEX_FORMAT = 1;

/**
 * An index in shared memory: threads read the same bytes, and nobody writes them again. The rows are in the order of
 * price and name.
 */
export interface IndexBuffers {
  readonly format: number;
  readonly rows: number;
  /** By row: the place of its document in the generation. */
  readonly documents: Uint32Array;
  /** The distinct names, sorted. */
  readonly names: StringTableBuffers;
  /** By row: the place of its name. */
  readonly nameRanks: Uint32Array;
  /** The rows in the order of their names. */
  readonly nameOrder: Uint32Array;
  readonly price: RunBuffers;
  /** Infinity where a bundle is unlimited. */
  readonly dataAmount: SortedColumnBuffers;
  readonly duration: SortedColumnBuffers;
  /** By row, as the API says it, which means nothing where a bundle is unlimited. */
  readonly givenAmounts: { readonly values: Float64Array; readonly codes: Codes };
  readonly country: AttributeBuffers;
  readonly region: AttributeBuffers;
  readonly group: AttributeBuffers;
  readonly roaming: PostingsOfKeys;
  readonly words: PostingsOfKeys;
}

/** Strings that are stored as what differs from the one before; every 16th is whole. */
export interface StringTableBuffers {
  readonly length: number;
  /** Where each 16th string begins in `bytes`. */
  readonly blocks: Uint32Array;
  readonly bytes: Uint8Array;
}

/** A sorted column: each distinct value, and where its run of equal values begins; the last start is the number of rows. */
export interface RunBuffers {
  readonly values: Float64Array;
  readonly starts: Uint32Array;
}

export interface SortedColumnBuffers extends RunBuffers {
  /** By row: the place of its value in `values`. */
  readonly codes: Codes;
  /** The rows in the order of the value and their names. */
  readonly order: Uint32Array;
  /**
   * Where the values are few, a bitmap of the rows for each but the last: those with this value or a lower one. A range
   * is then the difference of two. Otherwise empty.
   */
  readonly upTo: Uint32Array;
}

/** The rows of each key, ascending: a bitmap where they are many, otherwise their distances. */
export interface PostingsBuffers {
  /** Where the postings of each key begin in `bytes`; the last is the end. */
  readonly starts: Uint32Array;
  readonly bytes: Uint8Array;
  readonly bitmaps: Uint32Array;
}

export interface PostingsOfKeys {
  /** Sorted; the keys of the postings. */
  readonly keys: StringTableBuffers;
  readonly postings: PostingsBuffers;
}

/** What a bundle has several of, and what facets count. */
export interface AttributeBuffers extends PostingsOfKeys {
  /** By key, as the API spells it. */
  readonly labels: StringTableBuffers;
  readonly lists: ListBuffers;
}

/** Equal lists are stored once. */
export interface ListBuffers {
  /** By row: its list. */
  readonly codes: Codes;
  /** Where each list begins in `keys`; the last is the end. */
  readonly starts: Uint32Array;
  readonly keys: Codes;
}

/** The bytes of shared memory that an index takes. */
export function bytesOfIndex(buffers: IndexBuffers): number {
  const counted = new Set<ArrayBufferLike>();
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) counted.add(value.buffer);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(buffers);
  let bytes = 0;
  for (const buffer of counted) bytes += buffer.byteLength;
  return bytes;
}
