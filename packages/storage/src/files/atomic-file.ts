import { join } from 'node:path';
import type { FileSystem, OpenFile } from '@holdfast/journal';

/**
 * Writes a file that is complete or does not exist, at whatever moment the process dies: it is written under
 * another name, synced and renamed, and its directory is synced.
 * @returns the number of bytes written.
 */
export async function writeAtomically(
  files: FileSystem,
  directory: string,
  name: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { temporary: string; syncs: boolean },
): Promise<number> {
  const temporary = join(directory, options.temporary);
  try {
    const file = await files.open(temporary, 'create');
    let position = 0;
    try {
      for await (const chunk of chunks) {
        for (let done = 0; done < chunk.byteLength;) {
          const written = await file.write(chunk.subarray(done), position);
          if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
          done += written;
          position += written;
        }
      }
      if (options.syncs) await file.sync();
    } finally {
      await file.close();
    }
    await files.rename(temporary, join(directory, name));
    if (options.syncs) await files.syncDirectory(directory);
    return position;
  } catch (error) {
    await Promise.allSettled([files.remove(temporary)]);
    throw error;
  }
}

/** The bytes of a file from `from` up to, not including, `to`. */
export async function* readFileRange(
  files: FileSystem,
  path: string,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  if (to <= from) return;
  const file = await files.open(path, 'read');
  try {
    for (let position = from; position < to;) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - position));
      const read = await file.read(chunk, position);
      if (read === 0) {
        throw Object.assign(new Error(`${path} ended at ${position} of ${to} bytes`), {
          code: 'EIO',
        });
      }
      position += read;
      yield chunk.subarray(0, read);
    }
  } finally {
    await file.close();
  }
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

/** The size of one read of a file. */
export const CHUNK_BYTES = 262_144;
