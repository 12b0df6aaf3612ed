import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { CatalogStoreError } from '../errors.ts';
import type { GenerationReader, StoreCallOptions } from '../generation-store.ts';
import type { PostgresStoreSettings } from './options.ts';
import { type StoredRow, bundleOf } from '../row-batch.ts';
import { toStoreError } from './store-failure.ts';

/** Reads one generation's table; each row is proven before it is handed out. */
export function createPostgresReader(
  { name, tables, connections, timeoutMs, rowsPerRead, assertOpen }: PostgresStoreSettings,
  { relation, manifest }: { readonly relation: string; readonly manifest: GenerationManifest },
): GenerationReader {
  let isClosed = false;
  const text =
    `select document::text as document, checksum from ${tables.rowsOf(relation)} ` +
    'where "row" >= $1 and "row" < $2 order by "row"';
  const read = async (from: number, to: number, signal?: AbortSignal): Promise<Bundle[]> => {
    signal?.throwIfAborted();
    assertOpen();
    if (isClosed)
      throw new CatalogStoreError(name, 'closed', 'was asked by a reader that is closed');
    try {
      const call = { signal, timeoutMs, idempotent: true };
      const { rows } = await connections.database.query<StoredRow>(text, [from, to], call);
      if (rows.length !== to - from) {
        const seen = `has ${rows.length} of the rows ${from} to ${to - 1} of generation ${manifest.generation}`;
        throw new CatalogStoreError(name, 'missing', seen);
      }
      return rows.map((row, at) => bundleOf(name, row, from + at));
    } catch (error) {
      const seen = `did not read generation ${manifest.generation}`;
      throw toStoreError(error, { store: name, seen, signal });
    }
  };
  return {
    manifest,
    async readRow(row, { signal }: StoreCallOptions = {}) {
      if (!Number.isSafeInteger(row) || row < 0 || row >= manifest.rows) return undefined;
      const [bundle] = await read(row, row + 1, signal);
      return bundle;
    },
    async *readAll({ signal }: StoreCallOptions = {}) {
      for (let from = 0; from < manifest.rows; from += rowsPerRead) {
        yield await read(from, Math.min(from + rowsPerRead, manifest.rows), signal);
      }
    },
    async close() {
      isClosed = true;
    },
  };
}
