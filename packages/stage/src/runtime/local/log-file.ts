import { open, writeFile } from 'node:fs/promises';

/** The newest `maxBytes` of a file; empty when it does not exist. */
export async function readNewest(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const length = Math.min(size, maxBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Truncates a file to its newest `maxBytes`, while no process writes to it. */
export async function truncateToNewest(path: string, maxBytes: number): Promise<void> {
  await writeFile(path, await readNewest(path, maxBytes));
}
