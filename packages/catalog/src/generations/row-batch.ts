import { crc32 } from 'node:zlib';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import { documentOf } from '../documents/chunk.ts';
import { CatalogStoreError } from './errors.ts';

/** Rows that are sent at once. */
export interface RowBatch {
  /** The number of the first; the others follow it. */
  readonly first: number;
  readonly names: readonly string[];
  readonly documents: readonly string[];
  readonly checksums: readonly number[];
}

/** Gathers bundles until they are worth a statement. */
export class RowBuffer {
  readonly #maxCharacters: number;
  readonly #maxRows: number;
  #first = 0;
  #characters = 0;
  #names: string[] = [];
  #documents: string[] = [];
  #checksums: number[] = [];

  constructor(maxCharacters: number, maxRows: number = Infinity) {
    this.#maxCharacters = maxCharacters;
    this.#maxRows = maxRows;
  }

  /** How many were ever added. */
  get rows(): number {
    return this.#first + this.#documents.length;
  }

  /** @returns whether there are enough. @throws CatalogDocumentError */
  add(bundle: Bundle): boolean {
    const document = documentOf(bundle);
    this.#names.push(nameColumn(bundle.name));
    this.#documents.push(document);
    this.#checksums.push(crc32(document));
    this.#characters += document.length;
    return this.#characters >= this.#maxCharacters || this.#documents.length >= this.#maxRows;
  }

  /** What has gathered; `undefined` when nothing has. */
  take(): RowBatch | undefined {
    if (this.#documents.length === 0) return undefined;
    const batch = {
      first: this.#first,
      names: this.#names,
      documents: this.#documents,
      checksums: this.#checksums,
    };
    this.#first += batch.documents.length;
    this.#characters = 0;
    this.#names = [];
    this.#documents = [];
    this.#checksums = [];
    return batch;
  }
}

/** Text of Postgres has no zero byte, and UTF-8 no half of a pair; the document keeps both, escaped. */
function nameColumn(name: string): string {
  return name.toWellFormed().replaceAll('\0', '\uFFFD');
}

/** A row as it was stored. */
export interface StoredRow {
  readonly document: string;
  /** A bigint, which pg leaves as text. */
  readonly checksum: string | number;
}

/** @throws CatalogStoreError for a document that is not what was written */
export function bundleOf(store: string, { document, checksum }: StoredRow, row: number): Bundle {
  if (crc32(document) === Number(checksum)) {
    const bundle: Bundle = JSON.parse(document);
    return bundle;
  }
  throw new CatalogStoreError(store, 'damaged', `has a document in row ${row} that was changed`);
}

/** @throws CatalogStoreError */
export function assertManifest(
  store: string,
  given: GenerationManifest | null,
): GenerationManifest {
  const numbers = [given?.generation, given?.token, given?.rows];
  if (given !== null && numbers.every(Number.isSafeInteger)) return given;
  throw new CatalogStoreError(store, 'damaged', 'has a manifest that is none');
}
