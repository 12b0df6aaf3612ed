import { open, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FaultUnsupportedError } from '../errors.ts';
import { environment } from '@holdfast/foundation';
import { commandFailure } from '../system/command.ts';
import { errorCodeOf } from '../system/fields.ts';
import { findOnPath } from '../system/path.ts';
import type { DiskControl } from './server-limits.ts';

const BALLAST = 'holdfast-ballast';
const CHUNK = Buffer.alloc(1_048_576);

/**
 * Mounts a tmpfs of that size at a folder.
 * @throws FaultUnsupportedError when this user may not mount.
 */
export async function mountDisk(server: string, path: string, maxBytes: number): Promise<void> {
  const options = ['-t', 'tmpfs', '-o', `size=${maxBytes}`];
  const reason = await commandFailure('mount', [...options, 'tmpfs', path]);
  if (reason === undefined) return;
  const isInstalled = (await findOnPath('mount', environment['PATH'] ?? '')) !== undefined;
  const step = isInstalled
    ? 'Run as root on Linux with the right to mount'
    : `Install it: 'apt-get install mount'`;
  const remedy = `${step}, or leave out 'diskMaxBytes'`;
  throw new FaultUnsupportedError(server, 'give it a disk of its own', reason, remedy);
}

/** Unmounts at once, also while it is in use; does nothing when nothing is mounted. */
export async function unmount(path: string): Promise<void> {
  await commandFailure('umount', ['-l', path]);
}

/** Fills a disk with a file, and empties it by removing the file. */
export function createBallast(folder: string): DiskControl {
  const path = join(folder, BALLAST);
  const empty = (): Promise<void> => rm(path, { force: true });
  return {
    async fill(leaveBytes, signal) {
      try {
        await writeBallast(path, leaveBytes, signal);
      } catch (error) {
        // Nobody could undo it.
        await empty();
        throw error;
      }
    },
    empty,
  };
}

/** Writes a file until its disk has at most `leaveBytes` left. */
async function writeBallast(path: string, leaveBytes: number, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bavail, bsize } = await statfs(dirname(path));
      const left = Math.min(CHUNK.length, bavail * bsize - leaveBytes);
      if (left <= 0) return;
      await file.write(CHUNK, 0, left);
    }
  } catch (error) {
    // The server has used up the rest meanwhile.
    if (errorCodeOf(error) !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
}
