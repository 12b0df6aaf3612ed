import type { OpenFile } from '@holdfast/journal';
import { abortable, propertyOf } from '@holdfast/foundation';

const BLOCK_BYTES = 4_096;

/** The same file, whose reads reject as soon as the signal aborts: a disk that hangs is left behind. */
export function abortableFile(file: OpenFile, signal: AbortSignal | undefined): OpenFile {
  if (signal === undefined) return file;
  return { ...file, read: (into, position) => abortable(file.read(into, position), signal) };
}

/** Reads until `into` is full, or the file ends; resolves with the number of bytes. */
export async function readFully(
  file: OpenFile,
  into: Uint8Array,
  position: number,
): Promise<number> {
  let filled = 0;
  while (filled < into.byteLength) {
    const read = await file.read(into.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

/** The bytes of the file from `position`, fewer at its end. */
export async function readBytes(file: OpenFile, position: number, bytes: number): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(bytes);
  return into.subarray(0, await readFully(file, into, position));
}

/** The same, with zeros for each block that the disk cannot read. */
export async function readAround(file: OpenFile, position: number, bytes: number): Promise<Buffer> {
  try {
    return await readBytes(file, position, bytes);
  } catch (error) {
    if (propertyOf(error, 'code') !== 'EIO') throw error;
  }
  const into = Buffer.alloc(bytes);
  for (let done = 0; done < bytes;) {
    const end = Math.min(bytes, done + BLOCK_BYTES - ((position + done) % BLOCK_BYTES));
    try {
      const read = await readFully(file, into.subarray(done, end), position + done);
      if (read < end - done) return into.subarray(0, done + read);
    } catch (error) {
      if (propertyOf(error, 'code') !== 'EIO') throw error;
      into.fill(0, done, end);
    }
    done = end;
  }
  return into;
}
