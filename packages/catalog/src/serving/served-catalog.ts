/**
 * What a catalog promises:
 *
 * - Whatever answers has one generation, says which, from where, how old, and whether it is whole.
 * - It falls from the API to the cache, the database, what is in memory, then the backup; then it says what was tried.
 * - A generation that is older than the one in memory never replaces it.
 * - Every tier has a deadline, and all together have one.
 */
import { type EventKinds, type Subscribe, propertyOf } from '@holdfast/foundation';
import type {
  AnswerOrigin,
  Bundle,
  CatalogQuery,
  GenerationManifest,
  SearchResult,
  Source,
} from '../catalog.ts';
import type { SyncOptions, SyncOutcome, SyncProgress } from '../sync/catalog-sync.ts';

/** Options that every call has. */
export interface CatalogCallOptions {
  /** Stops waiting, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The result of a search, and where it is from. */
export interface CatalogAnswer extends SearchResult {
  readonly origin: AnswerOrigin;
}

/** A bundle, `undefined` when there is none of that name, and where the answer is from. */
export interface BundleAnswer {
  readonly bundle: Bundle | undefined;
  readonly origin: AnswerOrigin;
}

/** A tier that was asked, and why it had no answer. */
export interface TierAttempt {
  readonly tier: Source;
  readonly cause: unknown;
  readonly ms: number;
}

/** `pass`: fresh, whole, and syncs go well. `warn`: something is served, but one of them is not so. `fail`: nothing is. */
export type CatalogHealth = 'pass' | 'warn' | 'fail';

/** What a catalog serves, and what it does about it. */
export interface CatalogStatus {
  readonly health: CatalogHealth;
  /** Why it is not `pass`. */
  readonly notes: readonly string[];
  /** Of what is served; `undefined` before the first. */
  readonly origin: AnswerOrigin | undefined;
  readonly manifest: GenerationManifest | undefined;
  /** Of the sync that runs. */
  readonly sync: SyncProgress | undefined;
  /** How the last one ended; `undefined` before the first. */
  readonly lastSync:
    | { readonly atEpochMs: number; readonly durationMs: number; readonly error: unknown }
    | undefined;
  /** What did not answer when the served generation was looked for. */
  readonly attempts: readonly TierAttempt[];
}

/** The events of a catalog, by name. */
export interface ServedCatalogEvents {
  /** Another generation, or the same one from another tier, is served. */
  served: AnswerOrigin;
  /** A tier had no answer, and the next one was asked. */
  'fell-back': TierAttempt;
  'sync-ended': { readonly outcome: SyncOutcome };
  'sync-failed': { readonly error: unknown };
  /** A person has to look: the key of the API is refused. */
  alert: { readonly message: string; readonly error: unknown };
}

export const servedCatalogEventKinds: EventKinds<ServedCatalogEvents> = {
  served: true,
  'fell-back': true,
  'sync-ended': true,
  'sync-failed': true,
  alert: true,
};

/** Bundles that can be searched, whichever of its tiers answers. */
export interface Catalog {
  /**
   * Searches one generation. With one in memory it answers from there at once, and looks for a newer one behind the
   * answer when it is stale; without one it waits for {@link refresh}.
   * @throws CatalogUnavailableError; InvalidQueryError; CatalogClosedError; the signal's own reason
   */
  search(query?: CatalogQuery, options?: CatalogCallOptions): Promise<CatalogAnswer>;
  /** The document of a bundle. @throws like `search`, and CatalogUnavailableError when no tier has the document */
  get(name: string, options?: CatalogCallOptions): Promise<BundleAnswer>;
  /**
   * Goes down the tiers until one answers, and serves its generation. One at a time: a second call joins the first.
   * @throws CatalogUnavailableError; CatalogClosedError; the signal's own reason
   */
  refresh(options?: CatalogCallOptions): Promise<AnswerOrigin>;
  /**
   * Syncs now, without a fallback. The index of its outcome is the catalog's: do not close it.
   * @throws InvalidOptionError without an API; what the sync throws; CatalogClosedError
   */
  sync(options?: SyncOptions): Promise<SyncOutcome>;
  status(): CatalogStatus;
  readonly on: Subscribe<ServedCatalogEvents>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How the last sync failed that did. */
export interface SyncFault {
  readonly error: unknown;
  readonly atEpochMs: number;
}

export function healthOf(
  origin: AnswerOrigin | undefined,
  manifest: GenerationManifest | undefined,
  fault: SyncFault | undefined,
): { readonly health: CatalogHealth; readonly notes: readonly string[] } {
  const notes: string[] = [];
  if (origin === undefined) notes.push('no generation is served yet');
  else {
    if (origin.stale) notes.push(`generation ${origin.generation} is older than its time to live`);
    if (!origin.complete)
      notes.push(`generation ${origin.generation} has groups of an earlier one`);
  }
  // What another process has synced since is as good.
  if (fault !== undefined && (manifest?.syncedAtEpochMs ?? 0) <= fault.atEpochMs) {
    const code = propertyOf(fault.error, 'code');
    notes.push(`the last sync failed: ${typeof code === 'string' ? code : 'see its error'}`);
  }
  const served = notes.length === 0 ? 'pass' : 'warn';
  return { health: origin === undefined ? 'fail' : served, notes };
}
