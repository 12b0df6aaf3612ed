import type {
  BundleRow,
  CatalogQuery,
  GenerationManifest,
  SearchResult,
  Source,
} from '../catalog.ts';
import type { CatalogIndex } from '../search/catalog-index.ts';
import type { Documents } from './documents.ts';

/** A generation in memory: its index, and the way to its documents. Who closes the one closes the other. */
export class HeldGeneration implements CatalogIndex {
  readonly manifest: GenerationManifest;
  readonly documents: Documents;
  readonly rows: number;
  readonly bytes: number;
  /** The tier that had it when a generation was last looked for. */
  source: Source;
  readonly #index: CatalogIndex;

  constructor(
    source: Source,
    parts: {
      readonly manifest: GenerationManifest;
      readonly index: CatalogIndex;
      readonly documents: Documents;
    },
  ) {
    this.source = source;
    this.manifest = parts.manifest;
    this.documents = parts.documents;
    this.rows = parts.index.rows;
    this.bytes = parts.index.bytes;
    this.#index = parts.index;
  }

  search(query?: CatalogQuery): SearchResult {
    return this.#index.search(query);
  }

  find(name: string): BundleRow | undefined {
    return this.#index.find(name);
  }

  close(): void {
    this.#index.close();
    this.documents.close();
  }
}
