import { crc32 } from 'node:zlib';
import type { Codec } from './codec.ts';
import { CatalogChunkError } from './errors.ts';

/**
 * The first bytes of a chunk, little-endian; a later version keeps this layout, so that it can be told from damage:
 * magic 0, version 4, codec 5, schema 6, series 8, index 12, rows 16, payload bytes 20, content bytes 24,
 * crc32 of the payload 28, crc32 of all that 32.
 */
export const CHUNK_HEADER_BYTES = 36;
export const CHUNK_MAGIC: Buffer = Buffer.from('CATC', 'latin1');
/** The content of a chunk, before it is compressed: what a reader may have to hold. */
export const MAX_CONTENT_BYTES = 67_108_864;
/** Compressed, what cannot be compressed grows a little. */
const MAX_PAYLOAD_BYTES = MAX_CONTENT_BYTES + 1_048_576;

const VERSION = 1;
/** Of the documents: JSON, one a line. */
export const DOCUMENT_SCHEMA = 1;

export interface ChunkHeader {
  readonly codec: Codec;
  /** Chunks that belong together have one. */
  readonly series: number;
  /** The place in its series, from 0. */
  readonly index: number;
  readonly rows: number;
  readonly payloadBytes: number;
  readonly contentBytes: number;
  readonly payloadCrc: number;
}

/** Writes the header into the first bytes. */
export function writeChunkHeader(into: Buffer, header: ChunkHeader): void {
  CHUNK_MAGIC.copy(into, 0);
  into.writeUInt8(VERSION, 4);
  into.writeUInt8(header.codec === 'zstd' ? 1 : 2, 5);
  into.writeUInt16LE(DOCUMENT_SCHEMA, 6);
  into.writeUInt32LE(header.series, 8);
  into.writeUInt32LE(header.index, 12);
  into.writeUInt32LE(header.rows, 16);
  into.writeUInt32LE(header.payloadBytes, 20);
  into.writeUInt32LE(header.contentBytes, 24);
  into.writeUInt32LE(header.payloadCrc, 28);
  into.writeUInt32LE(crc32(into.subarray(0, 32)), 32);
}

/** @throws CatalogChunkError */
export function readChunkHeader(given: Uint8Array): ChunkHeader {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const magic = bytes.subarray(0, CHUNK_MAGIC.length);
  if (!CHUNK_MAGIC.subarray(0, magic.length).equals(magic)) {
    throw new CatalogChunkError('foreign', 'it does not begin as a chunk does');
  }
  if (bytes.length < CHUNK_HEADER_BYTES) {
    const seen = `${bytes.length} bytes of a header of ${CHUNK_HEADER_BYTES}`;
    throw new CatalogChunkError('truncated', seen);
  }
  if (crc32(bytes.subarray(0, 32)) !== bytes.readUInt32LE(32)) {
    throw new CatalogChunkError('damaged', 'the checksum of the header does not match');
  }
  const [version, schema] = [bytes.readUInt8(4), bytes.readUInt16LE(6)];
  const codec = codecs[bytes.readUInt8(5)];
  if (version > VERSION || schema > DOCUMENT_SCHEMA || codec === undefined) {
    const seen = `version ${version}, schema ${schema}, codec ${bytes.readUInt8(5)}`;
    throw new CatalogChunkError('newer', `${seen}; this version reads 1, 1, and 1 or 2`);
  }
  const header: ChunkHeader = {
    codec,
    series: bytes.readUInt32LE(8),
    index: bytes.readUInt32LE(12),
    rows: bytes.readUInt32LE(16),
    payloadBytes: bytes.readUInt32LE(20),
    contentBytes: bytes.readUInt32LE(24),
    payloadCrc: bytes.readUInt32LE(28),
  };
  if (header.contentBytes > MAX_CONTENT_BYTES || header.payloadBytes > MAX_PAYLOAD_BYTES) {
    const seen = `${header.contentBytes} bytes, of at most ${MAX_CONTENT_BYTES}`;
    throw new CatalogChunkError('too-large', seen);
  }
  return header;
}

const codecs: Readonly<Record<number, Codec>> = { 1: 'zstd', 2: 'gzip' };
