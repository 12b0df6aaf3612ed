import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A folder that is a disk of its own, in memory, of that size. */
export interface SmallDisk {
  readonly directory: string;
  close(): Promise<void>;
}

/**
 * Mounts it at `directory`, which is made.
 * @returns why not, where this user may not mount.
 */
export async function openSmallDisk(
  directory: string,
  bytes: number,
): Promise<SmallDisk | { readonly whyNot: string }> {
  await mkdir(directory, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory]);
  } catch (error) {
    return { whyNot: `a disk of its own could not be mounted: ${String(error)}` };
  }
  return {
    directory,
    async close() {
      await run('umount', ['-l', directory]);
    },
  };
}
