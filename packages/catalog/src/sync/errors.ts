import { HoldfastError, describeThrown, propertyOf } from '@holdfast/foundation';
import type { TargetFailure } from './catalog-sync.ts';

/**
 * - `disk-full`: ENOSPC, EDQUOT or EFBIG, or the journal has no room.
 * - `locked`: another process has the directory.
 * - `damaged`: pages were damaged again after they were fetched again.
 * - `io`: the disk failed.
 */
export type PagesFailure = 'disk-full' | 'locked' | 'damaged' | 'io';

/** The pages of a sync cannot be kept in its directory. Nothing was published. */
export class CatalogPagesError extends HoldfastError {
  readonly code = 'CATALOG_PAGES';
  readonly directory: string;
  readonly reason: PagesFailure;

  constructor(directory: string, reason: PagesFailure, cause: unknown) {
    super(
      `catalog: the pages of a sync cannot be kept in ${directory} (${describeThrown(cause)}); ` +
        `nothing was published, and the generation before is served on: ${remedies[reason]}`,
      { cause, retryable: true, outcome: 'not-applied' },
    );
    this.directory = directory;
    this.reason = reason;
  }
}

const remedies: Readonly<Record<PagesFailure, string>> = {
  'disk-full': 'free space, and sync again',
  locked: 'give each process a directory of its own',
  damaged: 'see to the disk, and sync again',
  io: 'see to the disk, and sync again',
};

const outOfSpace = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG', 'JOURNAL_FULL']);

export function toPagesError(directory: string, cause: unknown): CatalogPagesError {
  if (cause instanceof CatalogPagesError) return cause;
  const code = propertyOf(cause, 'code');
  if (outOfSpace.has(code)) return new CatalogPagesError(directory, 'disk-full', cause);
  return new CatalogPagesError(directory, code === 'JOURNAL_LOCKED' ? 'locked' : 'io', cause);
}

/** No store and no backup took the generation; each has the one before. */
export class CatalogPublishError extends HoldfastError {
  readonly code = 'CATALOG_PUBLISH_FAILED';
  readonly failed: readonly TargetFailure[];

  constructor(generation: number, failed: readonly TargetFailure[]) {
    const causes = failed.map(({ target, cause }) => `${target}: ${describeThrown(cause)}`);
    super(
      `catalog: generation ${generation} was published nowhere (${causes.join('; ')}); sync again: ` +
        'its pages are kept',
      { retryable: true, cause: failed[0]?.cause },
    );
    this.failed = failed;
  }
}

/** The generation would lack too much of the one before. Nothing was published. */
export class CatalogGenerationShrunkError extends HoldfastError {
  readonly code = 'CATALOG_GENERATION_SHRUNK';

  constructor(seen: string, cause?: unknown) {
    super(
      `catalog: ${seen}; the generation before is served on: if that is right, sync with allowShrink: true`,
      { outcome: 'not-applied', ...(cause === undefined ? {} : { cause }) },
    );
  }
}

/** The sync was closed. */
export class CatalogSyncClosedError extends HoldfastError {
  readonly code = 'CATALOG_SYNC_CLOSED';

  constructor() {
    super('catalog: the sync is closed; create another one', { outcome: 'not-applied' });
  }
}
