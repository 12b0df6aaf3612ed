import { crc32 } from 'node:zlib';
import type { GenerationManifest } from '../catalog.ts';

/**
 * A backup: a header of 16 bytes, frames (each a chunk), a footer of JSON, a trailer of 16 bytes. Numbers are
 * little-endian.
 */
export const FILE_HEADER_BYTES = 16;
export const TRAILER_BYTES = 16;
/** A footer has 30 bytes a frame: this is the footer of 100 million rows. */
const MAX_FOOTER_BYTES = 67_108_864;

const VERSION = 1;
const FILE_MAGIC = Buffer.from('CAT1', 'latin1');
const TRAILER_MAGIC = Buffer.from('CATE', 'latin1');

/** Offset and length in bytes, rows, crc32 of all its bytes. */
export type FrameEntry = readonly [offset: number, bytes: number, rows: number, crc: number];

export interface Footer {
  readonly version: number;
  /** Of the documents. */
  readonly schema: number;
  readonly series: number;
  readonly manifest: GenerationManifest;
  readonly rows: number;
  readonly frames: readonly FrameEntry[];
  /** Of all bytes before the footer, in hexadecimal. */
  readonly sha256: string;
}

/** Magic 0, version 4, 0 at 6, series 8, crc32 of that 12. */
export function encodeFileHeader(series: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  FILE_MAGIC.copy(header, 0);
  header.writeUInt16LE(VERSION, 4);
  header.writeUInt32LE(series, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** A header: its series, or why it is none. */
type HeaderFinding =
  | { readonly kind: 'header'; readonly series: number }
  | { readonly kind: 'truncated' | 'foreign' | 'damaged' | 'newer' };

export function decodeFileHeader(bytes: Buffer): HeaderFinding {
  if (bytes.length < FILE_HEADER_BYTES) return { kind: 'truncated' };
  if (!bytes.subarray(0, 4).equals(FILE_MAGIC)) return { kind: 'foreign' };
  if (crc32(bytes.subarray(0, 12)) !== bytes.readUInt32LE(12)) return { kind: 'damaged' };
  if (bytes.readUInt16LE(4) > VERSION) return { kind: 'newer' };
  return { kind: 'header', series: bytes.readUInt32LE(8) };
}

/** The footer with its trailer: bytes of the footer 0, crc32 of the footer 4, crc32 of that 8, magic 12. */
export function encodeFooter(footer: Omit<Footer, 'version'>): Buffer {
  const json = Buffer.from(JSON.stringify({ version: VERSION, ...footer }));
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(json.length, 0);
  trailer.writeUInt32LE(crc32(json), 4);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 8)), 8);
  TRAILER_MAGIC.copy(trailer, 12);
  return Buffer.concat([json, trailer]);
}

/** The length and checksum of the footer; `undefined` for bytes that are no trailer. */
export function decodeTrailer(
  bytes: Buffer,
): { readonly footerBytes: number; readonly footerCrc: number } | undefined {
  if (bytes.length !== TRAILER_BYTES || !bytes.subarray(12).equals(TRAILER_MAGIC)) return undefined;
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32LE(8)) return undefined;
  const footerBytes = bytes.readUInt32LE(0);
  return footerBytes > MAX_FOOTER_BYTES
    ? undefined
    : { footerBytes, footerCrc: bytes.readUInt32LE(4) };
}

/** @param start where the footer begins in its file: the frames have to fill all before it. */
export function decodeFooter(
  json: Buffer,
  footerCrc: number,
  start: number,
): Footer | 'damaged' | 'newer' {
  if (crc32(json) !== footerCrc) return 'damaged';
  try {
    const footer: Footer = JSON.parse(json.toString());
    if (footer.version > VERSION) return 'newer';
    return isConsistent(footer, start) ? footer : 'damaged';
  } catch {
    return 'damaged';
  }
}

/** Its checksum proves what was written, this that it was written by us. */
function isConsistent({ frames, rows, manifest }: Footer, start: number): boolean {
  let [end, counted] = [FILE_HEADER_BYTES, 0];
  for (const [offset, bytes, frameRows] of frames) {
    if (offset !== end || !(bytes > 0) || !(frameRows > 0)) return false;
    end += bytes;
    counted += frameRows;
  }
  return end === start && counted === rows && manifest.rows === rows;
}
