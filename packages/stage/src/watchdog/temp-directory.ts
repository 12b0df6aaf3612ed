import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { Watchdog } from './watchdog.ts';

/** A folder that does not outlive the process that made it. */
export interface TempDirectory {
  readonly path: string;
  /** Removes it with all it holds. */
  remove(): Promise<void>;
}

/** Makes a folder whose name begins with `prefix`. Guarded before it is there: no instant is left out. */
export async function createTempDirectory(
  prefix: string,
  watchdog: Watchdog,
): Promise<TempDirectory> {
  const path = `${prefix}${randomUUID()}`;
  const release = watchdog.guard({ type: 'directory', path });
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
      release();
    },
  };
}
