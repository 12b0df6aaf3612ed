/** An object as it was read. */
export interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
}

/** What a write requires of the object that is there. */
export type WriteCondition =
  | { readonly ifMatch: string }
  | { readonly ifAbsent: true }
  | { readonly always: true };

/** What a write says of its object. */
export interface ObjectHeaders {
  readonly contentType: string;
  readonly cacheControl: string;
}

/** What every call takes. */
export interface StoreCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What became of each key of a removal. */
export interface RemovalResult {
  readonly removed: readonly string[];
  readonly failed: readonly { readonly key: string; readonly reason: string }[];
}

/**
 * Where a site is kept: a bucket of S3, or anything with conditional writes. All calls reject with a `SiteStoreError`
 * whose `kind` says what is wrong, or with the reason of the signal.
 */
export interface SiteStore {
  /** Names it in events and breakers, such as `s3://bucket`. */
  readonly name: string;
  /** `undefined` when there is none. */
  get(key: string, options?: StoreCallOptions): Promise<StoredObject | undefined>;
  /** The size of an object; `undefined` when there is none. */
  sizeOf(key: string, options?: StoreCallOptions): Promise<number | undefined>;
  /**
   * Writes an object whole, or not at all.
   *
   * @returns its ETag; `'conflict'` when the condition does not hold.
   */
  put(
    key: string,
    body: Buffer,
    headers: ObjectHeaders,
    condition: WriteCondition,
    options?: StoreCallOptions,
  ): Promise<{ readonly etag: string } | 'conflict'>;
  /** All keys that begin with the prefix. */
  list(prefix: string, options?: StoreCallOptions): Promise<readonly string[]>;
  /** Removes objects; one that is not there counts as removed. */
  remove(keys: readonly string[], options?: StoreCallOptions): Promise<RemovalResult>;
}
