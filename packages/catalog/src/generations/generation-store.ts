/**
 * Where whole generations are kept for all processes: Redis, Postgres, Supabase.
 *
 * - Whole: a reader has all of one generation, or an error; what is staged is read by nobody.
 * - Fenced: a publication under an older token, or of a generation that is not newer, is refused, however late it comes.
 * - Bound: every call has a deadline of its own, and takes a signal.
 */
import type { Bundle, GenerationManifest } from '../catalog.ts';

/** Options that every call of a store has. */
export interface StoreCallOptions {
  /** Ends the call, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a generation has before anything of it is known. */
export interface GenerationPlace {
  readonly generation: number;
  /** Of the lock under which it is made. */
  readonly token: number;
}

/** The port of a store that keeps generations: they are staged, published as a whole, opened and deleted. */
export interface GenerationStore {
  /** Such as `redis`: its name in errors and reports. */
  readonly name: string;
  /**
   * Begins a generation. What an earlier attempt staged under its number is removed.
   * @throws CatalogFencedError; CatalogStoreError
   */
  stage(place: GenerationPlace, options?: StoreCallOptions): Promise<StagedGeneration>;
  /** The manifest of the published generation; `undefined` when there is none. @throws CatalogStoreError */
  current(options?: StoreCallOptions): Promise<GenerationManifest | undefined>;
  /** Opens the published generation; `undefined` when there is none. @throws CatalogStoreError */
  open(options?: StoreCallOptions): Promise<GenerationReader | undefined>;
  close(): Promise<void>;
}

/** A generation that is being staged by one caller. */
export interface StagedGeneration {
  /** Adds the next bundles, in their order; resolves when there is room for more. @throws CatalogStoreError */
  add(bundles: readonly Bundle[], options?: StoreCallOptions): Promise<void>;
  /**
   * Proves that all of it is there, then makes it the one that {@link GenerationStore.open} opens, in one step. The one
   * before stays readable for those who have opened it, for as long as the store's options say.
   * @throws CatalogFencedError; CatalogStoreError, with outcome `unknown` when the answer is lost
   */
  publish(manifest: GenerationManifest, options?: StoreCallOptions): Promise<void>;
  /** Removes what was staged; never throws, and does nothing after `publish`. */
  discard(): Promise<void>;
}

/** One generation; it stays this one while others are published. */
export interface GenerationReader {
  readonly manifest: GenerationManifest;
  /** The bundle of a row, from 0; `undefined` past the end. @throws CatalogStoreError */
  readRow(row: number, options?: StoreCallOptions): Promise<Bundle | undefined>;
  /** All bundles in their order, in parts of the store's size. @throws CatalogStoreError */
  readAll(options?: StoreCallOptions): AsyncGenerator<readonly Bundle[]>;
  close(): Promise<void>;
}
