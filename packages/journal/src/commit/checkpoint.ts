import { crc32 } from 'node:zlib';
import { type FileSystem, type OpenFile, writeAll } from '../files/file-system.ts';
import { readInteger, uuidOf, writeInteger } from '../segments/segment-format.ts';

/** The state of the directory besides its records. */
export interface Checkpoint {
  readonly id: string;
  /** The highest released sequence. */
  readonly released: number;
  /** Every sequence below was durable: if recovery finds fewer, records were lost. */
  readonly next: number;
}

/** The checkpoint's file, open for writing. */
export interface CheckpointFile {
  /** Resolves once the checkpoint is durable. */
  write(checkpoint: Checkpoint): Promise<void>;
  close(): Promise<void>;
}

/**
 * Two slots in one file of fixed size, written alternately, each with a counter and a checksum; the intact one with
 * the higher counter is valid. Written in place, so that a release mark can be written, and space freed, on a full
 * disk.
 *
 *     slot  magic 8 | id 16 | counter 8 | released 8 | next 8 | crc32 4        at 0 and at 4096
 */
const MAGIC = 'HFMARK01';
const SLOT_BYTES = 52;
const SECOND_SLOT_AT = 4_096;
const FILE_BYTES = 8_192;

export const CHECKPOINT_NAME = 'checkpoint';

interface Slot extends Checkpoint {
  readonly counter: number;
}

/** The last intact checkpoint; `damaged` if the file exists without one. */
export async function readCheckpoint(
  files: FileSystem,
  path: string,
): Promise<{ found?: Slot; damaged: boolean }> {
  const content = await files.readWhole(path);
  if (content === undefined) return { damaged: false };
  const block = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const slots = [decodeSlot(block, 0), decodeSlot(block, SECOND_SLOT_AT)];
  let found: Slot | undefined;
  for (const slot of slots) {
    if (slot !== undefined && slot.counter > (found?.counter ?? -1)) found = slot;
  }
  return found === undefined ? { damaged: content.byteLength > 0 } : { found, damaged: false };
}

/** Opens the file for the next owner, and creates it if necessary. */
export async function openCheckpoint(
  files: FileSystem,
  directory: string,
  path: string,
  last: Slot | undefined,
): Promise<CheckpointFile> {
  const file: OpenFile = await files.open(path, last === undefined ? 'create' : 'write');
  let counter = last?.counter ?? 0;
  try {
    if (last === undefined) {
      await writeAll(file, Buffer.alloc(FILE_BYTES), 0);
      await file.sync();
      await files.syncDirectory(directory);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    async write(checkpoint) {
      const next = counter + 1;
      await writeAll(file, encodeSlot({ ...checkpoint, counter: next }), slotOffset(next));
      await file.sync();
      counter = next;
    },
    close: () => file.close(),
  };
}

function slotOffset(counter: number): number {
  return counter % 2 === 0 ? 0 : SECOND_SLOT_AT;
}

function encodeSlot(slot: Slot): Buffer {
  const block = Buffer.alloc(SLOT_BYTES);
  block.write(MAGIC, 0, 'latin1');
  block.write(slot.id.replaceAll('-', ''), 8, 'hex');
  writeInteger(block, slot.counter, 24);
  writeInteger(block, slot.released, 32);
  writeInteger(block, slot.next, 40);
  block.writeUInt32LE(crc32(block.subarray(0, 48)), 48);
  return block;
}

function decodeSlot(block: Buffer, offset: number): Slot | undefined {
  const slot = block.subarray(offset, offset + SLOT_BYTES);
  if (slot.length < SLOT_BYTES || slot.toString('latin1', 0, 8) !== MAGIC) return undefined;
  if (slot.readUInt32LE(48) !== crc32(slot.subarray(0, 48))) return undefined;
  return {
    id: uuidOf(slot.toString('hex', 8, 24)),
    counter: readInteger(slot, 24),
    released: readInteger(slot, 32),
    next: readInteger(slot, 40),
  };
}
