import { crc32 } from 'node:zlib';
import { InvalidOptionError } from '@holdfast/foundation';
import type { Bundle } from '../catalog.ts';
import {
  CHUNK_HEADER_BYTES,
  MAX_CONTENT_BYTES,
  readChunkHeader,
  writeChunkHeader,
} from './chunk-header.ts';
import { type Codec, DEFAULT_CODEC, compress, decompress } from './codec.ts';
import { CatalogChunkError, CatalogDocumentError } from './errors.ts';

/** Where a chunk belongs. Whole numbers below 2^32. */
export interface ChunkPlace {
  /** Chunks that belong together have one, such as those of one file. */
  readonly series?: number;
  /** The place in its series, from 0. */
  readonly index?: number;
}

/** Options of `encodeChunk`. */
export interface EncodeOptions extends ChunkPlace {
  /** Default `zstd` where Node has it (22.15), otherwise `gzip`. */
  readonly codec?: Codec;
  /** Stops the work, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of `decodeChunk`. */
export interface DecodeOptions extends ChunkPlace {
  /** Stops the work, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A document is one line of JSON. @throws CatalogDocumentError for a bundle that would not come back as it is */
export function documentOf(bundle: Bundle): string {
  if (typeof bundle.name !== 'string') throw new CatalogDocumentError('name', 'is not a string');
  for (const field of ['price', 'duration', 'dataAmount'] as const) {
    // JSON has no such number: it would come back as null.
    if (typeof bundle[field] !== 'number' || Number.isFinite(bundle[field])) continue;
    throw new CatalogDocumentError(field, `(${bundle.name.slice(0, 60)}) is not a finite number`);
  }
  try {
    return JSON.stringify(bundle);
  } catch (error) {
    const seen = `(${bundle.name.slice(0, 60)}) cannot be JSON`;
    throw new CatalogDocumentError('a field', seen, error);
  }
}

/**
 * Encodes bundles as bytes that are proven whole when they are read, in a buffer of exactly their length. More than
 * 128 KiB of JSON is compressed on the thread pool.
 * @throws CatalogDocumentError; InvalidOptionError when they are more than 64 MiB of JSON
 */
export async function encodeChunk(
  bundles: readonly Bundle[],
  options: EncodeOptions = {},
): Promise<Buffer> {
  return encodeDocuments(
    bundles.map((bundle) => documentOf(bundle)),
    options,
  );
}

/** The same for documents of {@link documentOf}. */
export async function encodeDocuments(
  documents: readonly string[],
  { series = 0, index = 0, codec = DEFAULT_CODEC, signal }: EncodeOptions = {},
): Promise<Buffer> {
  signal?.throwIfAborted();
  let length = documents.length;
  for (const document of documents) length += document.length;
  const content = length > MAX_CONTENT_BYTES ? undefined : Buffer.from(documents.join('\n'));
  if (content === undefined || content.length > MAX_CONTENT_BYTES) {
    const given = `${documents.length} bundles, ${length} characters`;
    throw new InvalidOptionError(
      'encodeChunk',
      'bundles',
      given,
      'at most 64 MiB of JSON together',
    );
  }
  const payload = await compress(content, codec);
  signal?.throwIfAborted();
  // Not from the pool of small buffers, and not what zlib allocated: both are larger than what is kept of them.
  const chunk = Buffer.allocUnsafeSlow(CHUNK_HEADER_BYTES + payload.length);
  writeChunkHeader(chunk, {
    codec,
    series,
    index,
    rows: documents.length,
    payloadBytes: payload.length,
    contentBytes: content.length,
    payloadCrc: crc32(payload),
  });
  payload.copy(chunk, CHUNK_HEADER_BYTES);
  return chunk;
}

/**
 * The bundles of a chunk, all or none.
 * @param options with `series` or `index`, a chunk of another place is refused.
 * @throws CatalogChunkError
 */
export async function decodeChunk(
  bytes: Uint8Array,
  options: DecodeOptions = {},
): Promise<readonly Bundle[]> {
  const documents = await decodeDocuments(bytes, options);
  return documents.map((document) => parseDocument(document));
}

/** One bundle of a chunk, without the cost of parsing the others; `undefined` past its end. @throws CatalogChunkError */
export async function decodeBundle(
  bytes: Uint8Array,
  row: number,
  options: DecodeOptions = {},
): Promise<Bundle | undefined> {
  const document = (await decodeDocuments(bytes, options))[row];
  return document === undefined ? undefined : parseDocument(document);
}

/** The documents of {@link documentOf}, all or none. @throws CatalogChunkError */
export async function decodeDocuments(
  bytes: Uint8Array,
  { series, index, signal }: DecodeOptions,
): Promise<readonly string[]> {
  signal?.throwIfAborted();
  const header = readChunkHeader(bytes);
  const { rows, payloadBytes, contentBytes, codec } = header;
  const payload = bytes.subarray(CHUNK_HEADER_BYTES);
  if (payload.length !== payloadBytes) {
    const reason = payload.length < payloadBytes ? 'truncated' : 'damaged';
    throw new CatalogChunkError(reason, `${payload.length} bytes of a payload of ${payloadBytes}`);
  }
  if (crc32(payload) !== header.payloadCrc) {
    throw new CatalogChunkError('damaged', 'the checksum of the payload does not match');
  }
  if (header.series !== (series ?? header.series) || header.index !== (index ?? header.index)) {
    throw new CatalogChunkError('foreign', `series ${header.series}, index ${header.index}`);
  }
  if (codec === 'zstd' && DEFAULT_CODEC === 'gzip') {
    throw new CatalogChunkError('newer', 'this Node has no zstd; from 22.15 on it has');
  }
  const content = await decompress(payload, codec, contentBytes).catch((error: unknown) => {
    throw new CatalogChunkError('damaged', 'its content cannot be decompressed', error);
  });
  signal?.throwIfAborted();
  if (content.length !== contentBytes) {
    throw new CatalogChunkError('damaged', `${content.length} bytes of ${contentBytes}`);
  }
  const documents = rows === 0 && contentBytes === 0 ? [] : content.toString().split('\n');
  if (documents.length === rows) return documents;
  throw new CatalogChunkError('damaged', `${documents.length} rows of ${rows}`);
}

/** @throws CatalogChunkError */
export function parseDocument(document: string): Bundle {
  try {
    const bundle: Bundle | null = JSON.parse(document);
    if (typeof bundle?.name === 'string') return bundle;
  } catch (error) {
    throw new CatalogChunkError('damaged', 'a document is not JSON', error);
  }
  throw new CatalogChunkError('damaged', 'a document has no name');
}
