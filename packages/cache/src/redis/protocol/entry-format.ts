import { crc32 } from 'node:zlib';
import { decode } from '../../codec/decode.ts';

/**
 * How an entry lies in Redis:
 *
 *   1700000000000-3 0-0:7 1699999999999-0 \n  H1  crc32  length  header as JSON  value as text
 *   └─ version ───┘ └─ versions of its tags┘      └─ of the key and of all that follows it ──┘
 *
 * The first line is written by the script that stores the entry, where the version is known. Only the version: the key
 * was deleted then, and nothing older than that is stored.
 */
const MAGIC = Buffer.from('H1');
const CRC_AT = 2;
const LENGTH_AT = 6;
const HEADER_AT = 10;
const NEWLINE = 10;
/** Of how values are written. */
const CODEC = 1;

interface EntryHeader {
  /** The generation of the whole namespace. */
  readonly epoch: string;
  /** What the values are, as the user of the cache says. */
  readonly schema: number;
  readonly freshMs: number;
  readonly keptMs: number;
  /** By the clock of the writer; only where the time that Redis itself keeps cannot be read. */
  readonly writtenAtEpochMs: number;
  readonly loadMs: number;
  readonly tags: readonly string[];
}

export type DecodedEntry =
  | {
      readonly kind: 'value';
      readonly header: EntryHeader;
      readonly versions: readonly string[];
      read(): unknown;
    }
  | { readonly kind: 'deleted' }
  /** Of another schema, or written by a later version of this package. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'damaged' };

/** What follows the first line. */
export function encodeEntry(name: string, header: EntryHeader, text: string): Buffer {
  const { epoch, schema, freshMs, keptMs, writtenAtEpochMs, loadMs, tags } = header;
  const fields = [CODEC, schema, epoch, freshMs, keptMs, writtenAtEpochMs, loadMs, tags];
  const head = Buffer.from(JSON.stringify(fields));
  const value = Buffer.from(text);
  const bytes = Buffer.concat([Buffer.alloc(HEADER_AT), head, value]);
  MAGIC.copy(bytes);
  bytes.writeUInt32BE(head.length, LENGTH_AT);
  bytes.writeUInt32BE(checksum(name, bytes), CRC_AT);
  return bytes;
}

export function decodeEntry(name: string, schema: number, stored: Buffer): DecodedEntry {
  const lineEnd = stored.indexOf(NEWLINE);
  if (lineEnd === -1) return { kind: 'damaged' };
  const bytes = stored.subarray(lineEnd + 1);
  if (bytes.length === 0) return { kind: 'deleted' };
  const isWhole =
    bytes.length >= HEADER_AT &&
    bytes.subarray(0, CRC_AT).equals(MAGIC) &&
    bytes.readUInt32BE(CRC_AT) === checksum(name, bytes);
  if (!isWhole) return { kind: 'damaged' };
  const valueAt = HEADER_AT + bytes.readUInt32BE(LENGTH_AT);
  const fields: unknown = JSON.parse(bytes.toString('utf8', HEADER_AT, valueAt));
  const header = headerOf(fields);
  if (header === undefined || header.schema !== schema) return { kind: 'foreign' };
  const [, ...versions] = stored.toString('latin1', 0, lineEnd).split(' ');
  return { kind: 'value', header, versions, read: () => decode(bytes.toString('utf8', valueAt)) };
}

function headerOf(fields: unknown): EntryHeader | undefined {
  if (!Array.isArray(fields) || fields[0] !== CODEC) return undefined;
  const [, schema, epoch, freshMs, keptMs, writtenAtEpochMs, loadMs, tags] = fields;
  return { schema, epoch, freshMs, keptMs, writtenAtEpochMs, loadMs, tags };
}

/** With the key's name, so that an entry under another key is none. */
function checksum(name: string, bytes: Buffer): number {
  return crc32(bytes.subarray(LENGTH_AT), crc32(name));
}
