/** A country of a bundle. */
export interface Country {
  readonly name: string;
  /** Such as `Europe`. */
  readonly region: string;
  /** ISO 3166-1 alpha-2 in upper case, or a code of the API for a region, such as `RGBS`. */
  readonly iso: string;
}

/** A bundle as the API tells it; fields that are not known here are kept as they are. */
export interface Bundle {
  /** The identity, at most 200 characters; case counts. */
  readonly name: string;
  /** Days, at most 36 500. */
  readonly duration: number;
  /** Megabytes, 1 000 to a gigabyte, at most 1 000 000 000; any number where `unlimited`. */
  readonly dataAmount: number;
  readonly unlimited: boolean;
  /** In the currency of the organization, from 0 to `Number.MAX_SAFE_INTEGER`. */
  readonly price: number;
  /** From 1 to 500. */
  readonly countries: readonly Country[];
  /** At most 10 000 characters. */
  readonly description?: string;
  /** At most 100, each of at most 200 characters. */
  readonly groups?: readonly string[];
  readonly roamingEnabled?: readonly Country[];
  readonly [field: string]: unknown;
}

/** Where an answer is from: the API in this process, one of the stores that processes share, its memory, or a file. */
export type Source = 'api' | 'cache' | 'database' | 'memory' | 'backup';

/** What every answer says of itself. */
export interface AnswerOrigin {
  readonly source: Source;
  readonly generation: number;
  /** The milliseconds since the API was last asked for all of it. */
  readonly ageMs: number;
  /** Older than the time to live. */
  readonly stale: boolean;
  /** Whether all groups are of this generation; `false` where one that failed was taken from the one before. */
  readonly complete: boolean;
}

/** What a generation contains; it is stored beside it, and never changes. */
export interface GenerationManifest {
  /** Each is higher than the one before. */
  readonly generation: number;
  /** Of the lock under which it was made: a publication with an older token is refused everywhere. */
  readonly token: number;
  readonly rows: number;
  readonly syncedAtEpochMs: number;
  readonly complete: boolean;
  readonly groups: readonly GroupManifest[];
}

/** What one group contributes to a generation. */
export interface GroupManifest {
  readonly name: string;
  /** The rows of the generation are those of its groups, in their order. */
  readonly rows: number;
  /** Rows beside these, whose names a group before it has. Absent: none. */
  readonly duplicates?: number;
  /** That of the generation, or an earlier one where the group failed. */
  readonly generation: number;
}

/** Filters are combined; without one, all bundles. */
export interface CatalogQuery {
  /** The code of a country, in any case: bundles that have it in `countries`. */
  readonly country?: string;
  /** Bundles with a country in the region, such as `Europe`, in any case. */
  readonly region?: string;
  /** Exactly as the API spells it. */
  readonly group?: string;
  /** Unlimited bundles have more than any amount. */
  readonly minDataMb?: number;
  readonly maxDataMb?: number;
  readonly unlimited?: boolean;
  readonly minDurationDays?: number;
  readonly maxDurationDays?: number;
  readonly minPrice?: number;
  readonly maxPrice?: number;
  /** The code of a country: bundles that roam there. */
  readonly roaming?: string;
  /**
   * Up to 12 words; bundles in whose name, description or names of countries each word begins a word. Case and accents
   * do not count.
   */
  readonly text?: string;
  /** Default `price`. Equal ones are in the order of their names. */
  readonly sort?: SortKey;
  /** Default `ascending`. */
  readonly direction?: 'ascending' | 'descending';
  /** From 0. Default 0. */
  readonly offset?: number;
  /** From 0 to 1 000. Default 20. */
  readonly limit?: number;
  /** The facets to count. Default none. */
  readonly facets?: readonly Facet[];
}

/** What results can be sorted by. */
export type SortKey = 'price' | 'dataAmount' | 'duration' | 'name';
/** What results can be counted by. */
export type Facet = 'country' | 'region' | 'group' | 'unlimited';

/** What is known of a bundle without its document. */
export interface BundleRow {
  /** The place of its document in the generation. */
  readonly document: number;
  readonly name: string;
  readonly price: number;
  readonly dataAmount: number;
  readonly unlimited: boolean;
  readonly duration: number;
  readonly countries: readonly string[];
  readonly groups: readonly string[];
}

/** All of one generation. */
export interface SearchResult {
  /** How many bundles match, exactly. */
  readonly total: number;
  readonly rows: readonly BundleRow[];
  /** The counts by value, the highest first; of a facet with more than 1 000 values, the highest. */
  readonly facets: Readonly<Partial<Record<Facet, readonly FacetCount[]>>>;
}

/** How many results have one value of a facet. */
export interface FacetCount {
  readonly value: string;
  readonly count: number;
}
