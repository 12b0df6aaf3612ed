import type { GenerationManifest } from '../../catalog.ts';
import { CatalogStoreError } from '../errors.ts';
import type { GenerationReader, GenerationStore, StoreCallOptions } from '../generation-store.ts';
import { openStore } from '../open-store.ts';
import { type StoredRow, assertManifest, bundleOf } from '../row-batch.ts';
import {
  type SupabaseGenerationsOptions,
  type SupabaseStoreSettings,
  parseSupabaseOptions,
} from './options.ts';
import { callRest } from './rest.ts';
import { partName } from './schema.ts';
import { StagedRows } from './staged-rows.ts';

interface Current {
  readonly attempt: string;
  readonly manifest: GenerationManifest;
}

/**
 * Generations in a Supabase, through PostgREST, whose schema is {@link supabaseSchemaSql}: rows are inserted in parts, and
 * one function publishes them.
 * @throws InvalidOptionError
 */
export function createSupabaseGenerations(options: SupabaseGenerationsOptions): GenerationStore {
  const parsed = parseSupabaseOptions(options);
  return openStore(parsed.name, (assertOpen) => {
    const settings: SupabaseStoreSettings = { ...parsed, assertOpen };
    return {
      begin: (place, call) => StagedRows.begin(settings, place, call),
      readCurrent: (call) => readCurrent(settings, call),
      createReader: (current) => createReader(settings, current),
      async close() {},
    };
  });
}

async function readCurrent(
  settings: SupabaseStoreSettings,
  { signal }: StoreCallOptions,
): Promise<Current | undefined> {
  const { name, prefix, timeoutMs } = settings;
  const seen = 'did not tell which generation is published';
  const path = `rpc/${partName(prefix, 'current')}`;
  const answer = await callRest(settings, { path, body: {}, seen, timeoutMs, signal });
  if (!isCurrent(answer)) return undefined;
  return { attempt: answer.attempt, manifest: assertManifest(name, answer.manifest) };
}

function isCurrent(answer: unknown): answer is Current {
  return (
    typeof answer === 'object' && answer !== null && 'attempt' in answer && 'manifest' in answer
  );
}

function createReader(
  settings: SupabaseStoreSettings,
  { attempt, manifest }: Current,
): GenerationReader {
  const { name, prefix, timeoutMs, rowsPerCall } = settings;
  const { generation } = manifest;
  let isClosed = false;
  const read = async (
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ): Promise<ReturnType<typeof bundleOf>[]> => {
    signal?.throwIfAborted();
    settings.assertOpen();
    if (isClosed)
      throw new CatalogStoreError(name, 'closed', 'was asked by a reader that is closed');
    const path =
      `${partName(prefix, 'documents')}?select=document,checksum&attempt=eq.${attempt}` +
      `&row=gte.${from}&row=lt.${to}&order=row.asc`;
    const seen = `did not read generation ${generation}`;
    const answer = await callRest(settings, { path, seen, timeoutMs, signal });
    const rows: readonly StoredRow[] = Array.isArray(answer) ? answer : [];
    if (rows.length === to - from) return rows.map((row, at) => bundleOf(name, row, from + at));
    const problem = `has ${rows.length} of the rows ${from} to ${to - 1} of generation ${generation}`;
    throw new CatalogStoreError(name, 'missing', problem);
  };
  return {
    manifest,
    async readRow(row, { signal } = {}) {
      if (!Number.isSafeInteger(row) || row < 0 || row >= manifest.rows) return undefined;
      const [bundle] = await read(row, row + 1, signal);
      return bundle;
    },
    async *readAll({ signal } = {}) {
      for (let from = 0; from < manifest.rows; from += rowsPerCall) {
        yield await read(from, Math.min(from + rowsPerCall, manifest.rows), signal);
      }
    },
    async close() {
      isClosed = true;
    },
  };
}
