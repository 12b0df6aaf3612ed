/**
 * What a sync promises:
 *
 * - Whole: a generation is published when all of it is staged and verified, or not at all.
 * - Good data stays: a failed group keeps its rows of the generation before, and the manifest says so.
 * - Resumed: after a crash only the pages that were in flight are fetched again, unless another process has published
 *   meanwhile: an older page never comes after a newer generation. Unchanged pages are not parsed again.
 * - Fenced: who has lost the lock publishes nothing, anywhere.
 */
import type { GenerationManifest } from '../catalog.ts';
import type { RejectionReport } from '../client/rows/rejections.ts';
import type { CatalogIndex } from '../search/catalog-index.ts';

/** Options of one sync. */
export interface SyncOptions {
  /** Ends the sync; what was fetched is kept, and the next one goes on with it. */
  readonly signal?: AbortSignal;
  /** Publish although groups have lost more rows than the client permits. Default false. */
  readonly allowShrink?: boolean;
  /** Called at each step. Default: nobody is told. */
  readonly onProgress?: (progress: SyncProgress) => void;
}

/** What a sync is doing. */
export type SyncPhase = 'locking' | 'fetching' | 'staging' | 'publishing';

/** How far a sync is. */
export interface SyncProgress {
  readonly phase: SyncPhase;
  readonly pages: number;
  /** Recognized by their hash, or fetched before a crash. */
  readonly reusedPages: number;
  /** Fetched so far, later staged so far. */
  readonly rows: number;
  /** As the last generation leads one to expect; `undefined` before the first. */
  readonly expectedRows: number | undefined;
}

/** A group that has its rows from an earlier generation, or none. */
export interface KeptGroup {
  readonly name: string;
  /** Of the generation whose rows it has; `undefined` where there were none. */
  readonly generation: number | undefined;
  readonly cause: unknown;
}

/** A place in which the generation was not published; it has the one before. */
export interface TargetFailure {
  /** The name of the store, or `backup`. */
  readonly target: string;
  readonly cause: unknown;
}

/** What a sync has published. */
export interface SyncOutcome {
  readonly manifest: GenerationManifest;
  /** Of this generation; the caller's to close. */
  readonly index: CatalogIndex;
  /** The names of the stores, and `backup`, that have it. */
  readonly published: readonly string[];
  readonly failed: readonly TargetFailure[];
  readonly keptGroups: readonly KeptGroup[];
  readonly rejections: readonly { readonly group: string; readonly report: RejectionReport }[];
  readonly pages: number;
  readonly reusedPages: number;
  readonly durationMs: number;
}

/** One process' part in syncs: it holds its pages in a directory, which no other process uses at the same time. */
export interface CatalogSync {
  /**
   * One sync from the lock to the publication. One at a time: a second call joins the first.
   * @throws CatalogLockedError; CatalogLockUnavailableError; CatalogLockLostError; CatalogFencedError; CatalogApiError;
   *   CatalogPublishError when no place took the generation; the signal's own reason
   */
  run(options?: SyncOptions): Promise<SyncOutcome>;
  close(): Promise<void>;
}
