import { type FileHandle, open, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResolvedResourceFault } from './resource-kinds.ts';

const CHUNK_BYTES = 16_777_216;
let files = 0;

/**
 * Takes space of a disk until the returned function is called. The file has no name, so that the system frees its space
 * with the end of this process, whatever that end is.
 * @throws the error of the file system other than a full disk; the signal's reason
 */
export async function takeDisk(
  { amount, directory }: ResolvedResourceFault,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  files += 1;
  const path = join(directory, `holdfast-ballast-${process.pid}-${files}`);
  const file = await open(path, 'wx');
  // Where an open file keeps its name, it is removed afterwards.
  const isNameless = await unlink(path).then(
    () => true,
    () => false,
  );
  const free = async (): Promise<void> => {
    await file.close();
    if (!isNameless) await rm(path, { force: true });
  };
  try {
    await fill(file, amount, signal);
  } catch (error) {
    // A full disk is the purpose.
    if (!isFull(error)) {
      await free();
      throw error;
    }
  }
  return free;
}

async function fill(file: FileHandle, bytes: number, signal: AbortSignal): Promise<void> {
  const chunk = Buffer.alloc(Math.min(bytes, CHUNK_BYTES), 1);
  let left = bytes;
  while (left > 0) {
    signal.throwIfAborted();
    const { bytesWritten } = await file.write(chunk, 0, Math.min(left, chunk.length));
    left -= bytesWritten;
  }
}

function isFull(error: unknown): boolean {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
