/** An object as it was read. */
export interface SiteObject {
  readonly body: Buffer;
  readonly etag: string;
}

/** What a write requires of the object that is there. */
export type SiteCondition =
  | { readonly ifMatch: string }
  | { readonly ifAbsent: true }
  | { readonly always: true };

/** What a write says of its object. */
export interface ObjectHeaders {
  readonly contentType: string;
  readonly cacheControl: string;
}

/** What every call takes. */
export interface SiteCallOptions {
  /** Ends the call with its reason. */
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
  get(key: string, options?: SiteCallOptions): Promise<SiteObject | undefined>;
  /** The size of an object; `undefined` when there is none. */
  sizeOf(key: string, options?: SiteCallOptions): Promise<number | undefined>;
  /**
   * Writes an object whole, or not at all.
   *
   * @returns its ETag; `'conflict'` when the condition does not hold.
   */
  put(
    key: string,
    body: Buffer,
    headers: ObjectHeaders,
    condition: SiteCondition,
    options?: SiteCallOptions,
  ): Promise<{ readonly etag: string } | 'conflict'>;
  /** All keys that begin with the prefix. */
  list(prefix: string, options?: SiteCallOptions): Promise<readonly string[]>;
  /** Removes objects; one that is not there counts as removed. */
  remove(keys: readonly string[], options?: SiteCallOptions): Promise<RemovalResult>;
}
