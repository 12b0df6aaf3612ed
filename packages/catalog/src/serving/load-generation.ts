import { type Clock, KeyedMutex, abortable } from '@holdfast/foundation';
import type { Bundle } from '../catalog.ts';
import type { GenerationReader } from '../generations/generation-store.ts';
import { encodeBatch } from '../search/build/batch.ts';
import { buildIndex } from '../search/build/build-index.ts';
import { IndexBuilder } from '../search/build/index-builder.ts';
import { type CatalogIndex, openIndex } from '../search/catalog-index.ts';
import type { GenerationTier } from './generation-tier.ts';
import type { Memory } from './memory.ts';

/** So few are indexed sooner than a thread begins. */
const MAX_ROWS_IN_THIS_THREAD = 1_000;
const MAX_BUILDER_BYTES = 64 * 1_048_576;
/** What `buildIndex` takes at once. */
const MAX_BATCH_BYTES = 4 * 1_048_576;

/** Serves the generation of a tier. @throws CatalogStoreError; CatalogTierTimeoutError; what the tier throws */
export type LoadTier = (tier: GenerationTier, signal: AbortSignal) => Promise<void>;

/** Loads one generation at a time, because each takes the memory of an index. */
export function createLoads(memory: Memory, clock: Clock): LoadTier {
  const turns = new KeyedMutex();
  return (tier, signal) => {
    const loading = turns.run('load', async () => {
      const reader = await tier.open(signal);
      const { manifest } = reader;
      if (!memory.isNewer(manifest)) {
        void reader.close().catch(() => undefined);
        if (!memory.isSame(manifest)) {
          const served = memory.served?.manifest.generation;
          throw tier.error(
            'missing',
            `has generation ${manifest.generation}, and ${served} is served`,
          );
        }
        memory.confirm(tier.source);
        return;
      }
      try {
        const index = await loadGeneration(tier, reader, { signal, clock });
        memory.serve(tier.source, { manifest, index, opened: { tier, reader } });
      } catch (error) {
        void reader.close().catch(() => undefined);
        throw error;
      }
    });
    return abortable(loading, signal);
  };
}

/**
 * Reads all of a generation and indexes it; a large one in a thread of its own.
 * @throws CatalogStoreError when there are more or fewer rows than the manifest says; CatalogTierTimeoutError;
 *   IndexBuildError; what the reader throws; the signal's own reason
 */
async function loadGeneration(
  tier: GenerationTier,
  reader: GenerationReader,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<CatalogIndex> {
  const parts = countedParts(tier, reader, signal);
  if (reader.manifest.rows > MAX_ROWS_IN_THIS_THREAD) {
    const { buffers } = await buildIndex(batchesOf(parts), { signal, clock });
    return openIndex(buffers);
  }
  const builder = new IndexBuilder({ maxBytes: MAX_BUILDER_BYTES });
  for await (const part of parts) builder.add(part);
  return openIndex(builder.finish().buffers);
}

async function* countedParts(
  tier: GenerationTier,
  reader: GenerationReader,
  signal: AbortSignal,
): AsyncGenerator<readonly Bundle[], void, undefined> {
  const { generation, rows } = reader.manifest;
  let counted = 0;
  for await (const part of tier.readAll(reader, signal)) {
    counted += part.length;
    if (counted > rows) {
      throw tier.error('damaged', `has more than the ${rows} rows of generation ${generation}`);
    }
    yield part;
  }
  if (counted === rows) return;
  throw tier.error('missing', `has ${counted} of ${rows} rows of generation ${generation}`);
}

async function* batchesOf(
  parts: AsyncIterable<readonly Bundle[]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of parts) yield* halved(part);
}

function* halved(part: readonly Bundle[]): Generator<Uint8Array, void, undefined> {
  const bytes = encodeBatch(part);
  if (bytes.length <= MAX_BATCH_BYTES || part.length === 1) {
    yield bytes;
    return;
  }
  const half = part.length >>> 1;
  yield* halved(part.slice(0, half));
  yield* halved(part.slice(half));
}
