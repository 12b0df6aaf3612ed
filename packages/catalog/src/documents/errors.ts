import { HoldfastError } from '@holdfast/foundation';

/**
 * - `truncated`: it ends before its end.
 * - `damaged`: a checksum or a count does not match.
 * - `foreign`: it is no chunk, or the chunk of another series or place.
 * - `newer`: a later version of Holdfast, or of Node, has written it.
 * - `too-large`: it states more content than a chunk may have.
 */
export type ChunkDefect = 'truncated' | 'damaged' | 'foreign' | 'newer' | 'too-large';

/** Bytes that are not a whole chunk; nothing of it was handed out. Read it from another tier. */
export class CatalogChunkError extends HoldfastError {
  readonly code = 'CATALOG_CHUNK_UNREADABLE';
  readonly reason: ChunkDefect;

  constructor(reason: ChunkDefect, seen: string, cause?: unknown) {
    super(
      `catalog: a chunk is ${reason} (${seen}); nothing of it is used`,
      cause === undefined ? {} : { cause },
    );
    this.reason = reason;
  }
}

/** A bundle that would not come back as it is; nothing was written. */
export class CatalogDocumentError extends HoldfastError {
  readonly code = 'CATALOG_DOCUMENT_INVALID';
  readonly field: string;

  constructor(field: string, seen: string, cause?: unknown) {
    super(`catalog: ${field} of a bundle ${seen}; validate bundles before they are stored`, {
      outcome: 'not-applied',
      ...(cause === undefined ? {} : { cause }),
    });
    this.field = field;
  }
}
