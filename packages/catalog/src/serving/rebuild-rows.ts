import {
  type Clock,
  integer,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { Backup } from '../backup/backup.ts';
import type { Bundle, GenerationManifest } from '../catalog.ts';
import type { GenerationStore } from '../generations/generation-store.ts';
import { Documents } from './documents.ts';
import { GenerationTier } from './generation-tier.ts';

/** Options of `createRowRebuilder`. */
export interface RowRebuilderOptions {
  /** The store that is asked for the rows first. Default: none. */
  readonly database?: Pick<GenerationStore, 'open'>;
  /** The files that are asked after it. Default: none. */
  readonly backup?: Pick<Backup, 'open'>;
  /** How long opening one of them may take, and then each row, in milliseconds. Default 5 000. */
  readonly timeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

/**
 * Rows of a generation from where it is kept beside the cache; `undefined` when nobody has them. What it has
 * opened for a generation stays open until it is asked for another one, or closed.
 */
export interface RowRebuilder {
  (
    manifest: GenerationManifest,
    firstRow: number,
    rows: number,
    signal?: AbortSignal,
  ): Promise<readonly Bundle[] | undefined>;
  close(): void;
}

const ROWS_AT_A_TIME = 16;

const schema = {
  database: optional(objectWith<Pick<GenerationStore, 'open'>>(['open'])),
  backup: optional(objectWith<Pick<Backup, 'open'>>(['open'])),
  timeoutMs: integer({ min: 1, max: 3_600_000, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'schedule'], systemClock),
};

/**
 * For a cache that has lost or damaged a part of a generation: reads the part from the database, else from the backup.
 * @throws InvalidOptionError
 */
export function createRowRebuilder(options: RowRebuilderOptions): RowRebuilder {
  const { database, backup, timeoutMs, clock } = parseOptions(
    'createRowRebuilder',
    schema,
    options,
  );
  const bounds = { clock, stepMs: timeoutMs };
  const tiers: GenerationTier[] = [];
  if (database !== undefined) tiers.push(new GenerationTier('database', database, bounds));
  if (backup !== undefined) tiers.push(new GenerationTier('backup', backup, bounds));
  const closing = new AbortController();
  let open: { readonly manifest: GenerationManifest; readonly documents: Documents } | undefined;
  const documentsOf = (manifest: GenerationManifest): Documents => {
    const { generation, token } = manifest;
    if (open?.manifest.generation !== generation || open.manifest.token !== token) {
      open?.documents.close();
      open = { manifest, documents: new Documents(manifest, tiers, { clock }) };
    }
    return open.documents;
  };
  const rebuild = async (
    manifest: GenerationManifest,
    firstRow: number,
    rows: number,
    signal?: AbortSignal,
  ): Promise<readonly Bundle[] | undefined> => {
    const limit = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
    for (const tier of tiers) {
      try {
        const documents = documentsOf(manifest);
        const found: Bundle[] = [];
        while (found.length < rows) {
          const at = firstRow + found.length;
          const count = Math.min(ROWS_AT_A_TIME, rows - found.length);
          const reads = Array.from({ length: count }, (_, row) =>
            documents.readFrom(tier, at + row, limit),
          );
          found.push(...(await Promise.all(reads)));
        }
        return found;
      } catch {
        // The next one may have them.
        limit.throwIfAborted();
      }
    }
    return undefined;
  };
  const close = (): void => {
    closing.abort();
    open?.documents.close();
  };
  return Object.assign(rebuild, { close });
}
