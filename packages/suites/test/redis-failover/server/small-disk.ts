import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A folder that is a separate disk of that size, in memory. */
export interface SmallDisk {
  readonly directory: string;
  close(): Promise<void>;
}

/**
 * Creates `directory` and mounts the disk there.
 * @returns the reason when this user may not mount.
 */
export async function openSmallDisk(
  directory: string,
  bytes: number,
): Promise<SmallDisk | { readonly whyNot: string }> {
  await mkdir(directory, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory]);
  } catch (error) {
    return { whyNot: `a separate disk could not be mounted: ${String(error)}` };
  }
  return {
    directory,
    async close() {
      await run('umount', ['-l', directory]);
    },
  };
}
