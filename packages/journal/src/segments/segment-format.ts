import { crc32 } from 'node:zlib';

/**
 * A segment file, all numbers little-endian:
 *
 *     0     header   magic 8 | version 4 | salt 4 | journal id 16 | first sequence 8 | epoch 8 | crc32 4
 *     512   header   the same once more: one damaged sector does not cost the segment
 *     1024  frame    crc32 4 | payload bytes 4 | sequence 8 | place in its batch 4 | payload
 *           frame    ...
 *           zeros    up to the preallocated size, or the end of the file
 *
 * A frame's checksum begins with the segment's salt, so that a frame of another file, or one inside a
 * payload, is none here. The place in the batch tells which records had been made durable before it was
 * written: all below `sequence - place`.
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

/** The header, from whichever of its two copies is whole. */
export function decodeHeader(block: Buffer): SegmentHeader | undefined {
  return decodeCopy(block, 0) ?? decodeCopy(block, COPY_AT);
}

function decodeCopy(block: Buffer, at: number): SegmentHeader | undefined {
  const copy = block.subarray(at, at + CHECKED_BYTES + 4);
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

/** Writes one frame at `at`; gives the place after it. */
export function encodeFrame(
  into: Buffer,
  at: number,
  frame: { salt: number; sequence: number; place: number; payload: Uint8Array },
): number {
  const { salt, sequence, place, payload } = frame;
  const end = at + FRAME_BYTES + payload.byteLength;
  into.writeUInt32LE(payload.byteLength, at + 4);
  writeInteger(into, sequence, at + 8);
  into.writeUInt32LE(place, at + 16);
  into.set(payload, at + FRAME_BYTES);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end), salt), at);
  return end;
}

/** The whole length that the frame at `at` claims; its first {@link FRAME_BYTES} must be in the window. */
export function claimedBytes(window: Buffer, at: number): number {
  return FRAME_BYTES + window.readUInt32LE(at + 4);
}

/** Whether the frame of `bytes` at `at`, which must be in the window whole, is what was written. */
export function isFrameWhole(window: Buffer, at: number, bytes: number, salt: number): boolean {
  return crc32(window.subarray(at + 4, at + bytes), salt) === window.readUInt32LE(at);
}

export function sequenceAt(window: Buffer, at: number): number {
  return readInteger(window, at + 8);
}

export function batchIndexAt(window: Buffer, at: number): number {
  return window.readUInt32LE(at + 16);
}

const namePattern = /^(\d{20})\.journal$/;

export function segmentName(first: number): string {
  return `${String(first).padStart(20, '0')}.journal`;
}

/** The first sequence that a segment's name tells, or nothing for any other file. */
export function firstOfName(name: string): number | undefined {
  const digits = namePattern.exec(name)?.[1];
  const first = digits === undefined ? 0 : Number(digits);
  return Number.isSafeInteger(first) && first >= 1 ? first : undefined;
}

export function writeInteger(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % TWO_32, at);
  into.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

export function readInteger(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * TWO_32;
}

export function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
