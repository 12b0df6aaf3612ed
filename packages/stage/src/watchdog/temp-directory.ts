import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { FolderVariable } from '../errors.ts';
import { inFolder } from '../system/folders.ts';
import type { Watchdog } from './watchdog.ts';

/** A folder that does not outlive this process. */
export interface TempDirectory {
  readonly path: string;
  /** Removes it with its content. */
  remove(): Promise<void>;
}

/**
 * Creates a folder whose path begins with `prefix`. It is guarded before it exists, so that none is missed.
 * @param variable the environment variable that names its parent.
 * @throws StageFolderError
 */
export async function createTempDirectory(
  prefix: string,
  watchdog: Watchdog,
  variable: FolderVariable = 'TMPDIR',
): Promise<TempDirectory> {
  // Absolute: the watchdog and the servers work in other folders.
  const path = resolve(`${prefix}${randomUUID()}`);
  const release = watchdog.guard({ kind: 'directory', path });
  await inFolder(dirname(path), variable, () => mkdir(path, { mode: 0o700 }));
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      release();
    },
  };
}
