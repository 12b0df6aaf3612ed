import type { GenerationManifest } from '../../catalog.ts';
import { CatalogStoreError } from '../errors.ts';
import type { GenerationStore, StoreCallOptions } from '../generation-store.ts';
import { openStore } from '../open-store.ts';
import { assertManifest } from '../row-batch.ts';
import {
  type PostgresGenerationsOptions,
  type PostgresStoreSettings,
  parsePostgresOptions,
} from './options.ts';
import { createPostgresReader } from './reader.ts';
import { toStoreError } from './store-failure.ts';
import { StagedTable } from './staged-table.ts';

interface CurrentRow {
  readonly relation: string;
  readonly manifest: string;
}

interface Current {
  readonly relation: string;
  readonly manifest: GenerationManifest;
}

/**
 * Generations in Postgres, a table for each. One is published by a transaction that holds the row of the fence, counts
 * the rows, and turns the view `prefix` ("row", name, document) to them. Its answer when lost is looked up at the fence.
 *
 * A statement that reads the view keeps a publication waiting, at most for `publishTimeoutMs`.
 * @throws InvalidOptionError
 */
export function createPostgresGenerations(options: PostgresGenerationsOptions): GenerationStore {
  const parsed = parsePostgresOptions(options);
  const { name, connections } = parsed;
  return openStore(name, (assertOpen) => {
    const settings: PostgresStoreSettings = { ...parsed, assertOpen };
    return {
      begin: (place, call) => StagedTable.begin(settings, place, call),
      readCurrent: (call) => readCurrent(settings, call),
      createReader: (current) => createPostgresReader(settings, current),
      close: () => connections.close(),
    };
  });
}

async function readCurrent(
  { name, tables, connections, timeoutMs }: PostgresStoreSettings,
  { signal }: StoreCallOptions,
): Promise<Current | undefined> {
  const seen = 'did not tell which generation is published';
  try {
    const { rows } = await connections.database.query<CurrentRow>(
      `select relation, manifest::text as manifest from ${tables.fence} join ${tables.generations} using (relation)`,
      [],
      { signal, timeoutMs, idempotent: true },
    );
    const [row] = rows;
    return (
      row && { relation: row.relation, manifest: assertManifest(name, JSON.parse(row.manifest)) }
    );
  } catch (error) {
    // Nothing was ever staged.
    const failure = toStoreError(error, { store: name, seen, signal });
    if (failure instanceof CatalogStoreError && failure.reason === 'missing') {
      return undefined;
    }
    throw failure;
  }
}
