import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { Watchdog } from './watchdog.ts';

/** A folder that does not outlive this process. */
export interface TempDirectory {
  readonly path: string;
  /** Removes it with its content. */
  remove(): Promise<void>;
}

/** Creates a folder whose path begins with `prefix`. It is guarded before it exists, so that none is missed. */
export async function createTempDirectory(
  prefix: string,
  watchdog: Watchdog,
): Promise<TempDirectory> {
  const path = `${prefix}${randomUUID()}`;
  const release = watchdog.guard({ kind: 'directory', path });
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      release();
    },
  };
}
