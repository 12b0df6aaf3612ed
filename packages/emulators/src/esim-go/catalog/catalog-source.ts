/** Which rows of the catalog are asked for, and in which order. */
export interface RowQuery {
  /** Exactly as it is spelled. */
  readonly group?: string | undefined;
  /** Countries in upper case; a row with any of them matches. */
  readonly countries?: readonly string[] | undefined;
  /** As it is spelled; a row with a country there matches. */
  readonly region?: string | undefined;
  /** Part of the description in any case, `*` for any characters. */
  readonly description?: string | undefined;
  /** Default: the order of the catalog, which changes as rows come and go. */
  readonly orderBy?: SortField | undefined;
  readonly descending?: boolean | undefined;
}

export type SortField =
  | 'name'
  | 'description'
  | 'dataAmount'
  | 'duration'
  | 'price'
  | 'speed'
  | 'autostart'
  | 'roamingEnabled';

/** The bundles behind the API, each under a number of its own. */
export interface CatalogSource {
  readonly groups: readonly string[];
  /** The numbers of the rows that match, in order. */
  select(query: RowQuery): Uint32Array;
  /** A row as JSON. */
  textOf(row: number): string;
  /** @returns undefined for a name that is not there; case counts. */
  find(name: string): number | undefined;
  /** Adds rows to a group, or removes them with a negative number: pages move under whoever reads them. */
  drift(group: string | undefined, rows: number): void;
}

/** @param pattern part of a text in any case, `*` for any characters. */
export function wildcard(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
  return new RegExp(parts.join('.*'), 'isu');
}

/** Sorts rows by a number each; equal ones keep their order, and `descending` reverses all. */
export function sortRows(
  rows: Uint32Array,
  keyOf: (row: number) => number,
  descending: boolean,
): Uint32Array {
  const { length } = rows;
  // One number for key and position sorts at the speed of numbers.
  const keys = Float64Array.from(rows, (row, at) => keyOf(row) * length + at).toSorted();
  const sorted = Uint32Array.from(keys, (key) => rows[key % length] ?? 0);
  return descending ? sorted.toReversed() : sorted;
}

/** The rank of each text among all of them: equal texts have equal ranks. */
export function ranksOf(texts: readonly string[]): readonly number[] {
  const sorted = [...new Set(texts)].toSorted();
  const ranks = new Map(sorted.map((text, rank) => [text, rank]));
  return texts.map((text) => ranks.get(text) ?? 0);
}
