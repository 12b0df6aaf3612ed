import { crc32 } from 'node:zlib';

/**
 * A segment file, all numbers little-endian:
 *
 *     0     header   magic 8 | version 4 | salt 4 | journal id 16 | first sequence 8 | epoch 8 | crc32 4
 *     512   header   the same once more: one damaged sector does not cost the segment
 *     1024  frame    crc32 4 | payload bytes 4 | sequence 8 | index in its batch 4 | payload
 *           frame    ...
 *           zeros    up to the preallocated size, or the end of the file
 *
 * A frame's checksum begins with the segment's salt, so that a frame of another file, or one inside a
 * payload, does not count here. The index in the batch shows which records were durable before this one was
 * written: all below `sequence - index`.
 */
export const HEADER_BYTES = 1_024;
export const FRAME_BYTES = 20;

const MAGIC = 'HOLDFAST';
const VERSION = 1;
const COPY_AT = 512;
const CHECKED_BYTES = 48;
const TWO_32 = 4_294_967_296;

export interface SegmentHeader {
  readonly salt: number;
  readonly id: string;
  readonly first: number;
  readonly epoch: number;
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const block = Buffer.alloc(HEADER_BYTES);
  block.write(MAGIC, 0, 'latin1');
  block.writeUInt32LE(VERSION, 8);
  block.writeUInt32LE(header.salt, 12);
  block.write(header.id.replaceAll('-', ''), 16, 'hex');
  writeInteger(block, header.first, 32);
  writeInteger(block, header.epoch, 40);
  block.writeUInt32LE(crc32(block.subarray(0, CHECKED_BYTES)), CHECKED_BYTES);
  block.copy(block, COPY_AT, 0, CHECKED_BYTES + 4);
  return block;
}

/** The header, from the first of its two copies whose checksum matches. */
export function decodeHeader(block: Buffer): SegmentHeader | undefined {
  return decodeCopy(block, 0) ?? decodeCopy(block, COPY_AT);
}

function decodeCopy(block: Buffer, offset: number): SegmentHeader | undefined {
  const copy = block.subarray(offset, offset + CHECKED_BYTES + 4);
  if (copy.length < CHECKED_BYTES + 4 || copy.toString('latin1', 0, 8) !== MAGIC) return undefined;
  if (copy.readUInt32LE(CHECKED_BYTES) !== crc32(copy.subarray(0, CHECKED_BYTES))) return undefined;
  if (copy.readUInt32LE(8) !== VERSION) return undefined;
  return {
    salt: copy.readUInt32LE(12),
    id: uuidOf(copy.toString('hex', 16, 32)),
    first: readInteger(copy, 32),
    epoch: readInteger(copy, 40),
  };
}

/** Writes one frame at `offset`; returns the offset after it. */
export function encodeFrame(
  into: Buffer,
  offset: number,
  frame: { salt: number; sequence: number; batchIndex: number; payload: Uint8Array },
): number {
  const { salt, sequence, batchIndex, payload } = frame;
  const end = offset + FRAME_BYTES + payload.byteLength;
  into.writeUInt32LE(payload.byteLength, offset + 4);
  writeInteger(into, sequence, offset + 8);
  into.writeUInt32LE(batchIndex, offset + 16);
  into.set(payload, offset + FRAME_BYTES);
  into.writeUInt32LE(crc32(into.subarray(offset + 4, end), salt), offset);
  return end;
}

/** The length that the frame at `offset` claims; its first {@link FRAME_BYTES} must be in the window. */
export function claimedBytes(window: Buffer, offset: number): number {
  return FRAME_BYTES + window.readUInt32LE(offset + 4);
}

/** Whether the checksum of the frame matches; all of its `bytes` must be in the window. */
export function isFrameIntact(
  window: Buffer,
  offset: number,
  bytes: number,
  salt: number,
): boolean {
  return crc32(window.subarray(offset + 4, offset + bytes), salt) === window.readUInt32LE(offset);
}

export function sequenceAt(window: Buffer, offset: number): number {
  return readInteger(window, offset + 8);
}

export function batchIndexAt(window: Buffer, offset: number): number {
  return window.readUInt32LE(offset + 16);
}

const namePattern = /^(\d{20})\.journal$/;

export function segmentName(first: number): string {
  return `${String(first).padStart(20, '0')}.journal`;
}

/** The first sequence of a segment by its file name; `undefined` for any other file. */
export function firstOfName(name: string): number | undefined {
  const digits = namePattern.exec(name)?.[1];
  const first = digits === undefined ? 0 : Number(digits);
  return Number.isSafeInteger(first) && first >= 1 ? first : undefined;
}

export function writeInteger(into: Buffer, value: number, offset: number): void {
  into.writeUInt32LE(value % TWO_32, offset);
  into.writeUInt32LE(Math.floor(value / TWO_32), offset + 4);
}

export function readInteger(from: Buffer, offset: number): number {
  return from.readUInt32LE(offset) + from.readUInt32LE(offset + 4) * TWO_32;
}

export function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
