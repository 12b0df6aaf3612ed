import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { commandFailure } from '../command.ts';
import { StageCannotError } from '../errors.ts';
import { findOnPath } from './path.ts';
import type { DiskControl } from '../resources.ts';

const BALLAST = 'holdfast-ballast';
const CHUNK = Buffer.alloc(1_048_576);

/**
 * Makes a folder a disk of its own, in memory, of that size.
 * @throws StageCannotError where this user may not mount.
 */
export async function mountDisk(server: string, path: string, maxBytes: number): Promise<void> {
  const options = ['-t', 'tmpfs', '-o', `size=${maxBytes}`];
  const why = await commandFailure('mount', [...options, 'tmpfs', path]);
  if (why === undefined) return;
  const isThere = (await findOnPath('mount', process.env['PATH'] ?? '')) !== undefined;
  const need = isThere
    ? 'Run as root on Linux with the right to mount'
    : `Install it: 'apt-get install mount'`;
  const wayOut = `${need}, or leave out 'diskMaxBytes'`;
  throw new StageCannotError(server, 'give it a disk of its own', why, wayOut);
}

/** At once, also while it is used; nothing where nothing is mounted. */
export async function unmount(path: string): Promise<void> {
  await commandFailure('umount', ['-l', path]);
}

/** Fills a disk with a file, and empties it by removing that. */
export function ballastIn(folder: string): DiskControl {
  const path = join(folder, BALLAST);
  return {
    async fill(leaveBytes) {
      const file = await open(path, 'w');
      try {
        for (;;) {
          const { bavail, bsize } = await statfs(folder);
          const left = Math.min(CHUNK.length, bavail * bsize - leaveBytes);
          if (left <= 0) return;
          await file.write(CHUNK, 0, left);
        }
      } finally {
        await file.close();
      }
    },
    empty: () => rm(path, { force: true }),
  };
}
