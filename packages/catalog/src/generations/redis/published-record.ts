import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Bundle, GenerationManifest } from '../../catalog.ts';
import { CatalogStoreError } from '../errors.ts';
import { REDIS } from './redis-connection.ts';

/** What the pointer says: which generation is published, and how its chunks are laid out. */
export interface PublishedRecord {
  readonly manifest: GenerationManifest;
  /** The part of its keys that no other attempt has: generation, token and a random number. */
  readonly attempt: string;
  readonly rowsPerChunk: number;
  /** Of all chunks together. */
  readonly bytes: number;
  /** {@link namesSum} of each chunk: what proves that a rebuilt one has the same bundles in the same order. */
  readonly sums: readonly number[];
}

const VERSION = 1;

/**
 * `<sha1 of the rest> <version> <generation> <token> <chunks> <bytes> <attempt>\n<JSON>`: the first line is for the
 * scripts, which can compute no other checksum; a later version keeps it.
 */
export function encodeRecord(record: PublishedRecord): string {
  const { manifest, attempt, bytes, sums } = record;
  const line = [VERSION, manifest.generation, manifest.token, sums.length, bytes, attempt].join(
    ' ',
  );
  const rest = `${line}\n${JSON.stringify(record)}`;
  return `${sha1Of(rest)} ${rest}`;
}

/** @throws CatalogStoreError */
export function decodeRecord(text: string): PublishedRecord {
  const rest = text.slice(41);
  if (text[40] !== ' ' || sha1Of(rest) !== text.slice(0, 40)) {
    throw new CatalogStoreError(REDIS, 'damaged', 'has a damaged pointer to its generation');
  }
  const version = Number(/^\d+/.exec(rest)?.[0]);
  if (version !== VERSION) {
    const seen = `has a pointer of version ${version}, and this version reads ${VERSION}`;
    throw new CatalogStoreError(REDIS, 'refused', seen);
  }
  // The checksum has proven that it is what `encodeRecord` has written.
  return JSON.parse(rest.slice(rest.indexOf('\n') + 1));
}

/** Of the names in their order: other tiers may have the fields of a bundle in another order. */
export function namesSum(bundles: readonly Bundle[]): number {
  return crc32(bundles.map(({ name }) => name).join('\n'));
}

export function sha1Of(content: string | Uint8Array): string {
  return createHash('sha1').update(content).digest('hex');
}
