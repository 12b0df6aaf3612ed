import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StageFolderError } from '../../errors.ts';
import type { Environment, ProcessUser } from '../../system/executable.ts';

/** The type of a tmpfs in statfs(2). */
const TMPFS_MAGIC = 0x01_02_19_94;
const MEMORY_FOLDER = '/dev/shm';
/** With less free memory than this, the disk is used. */
const MEMORY_MIN_BYTES = 1_073_741_824;

/**
 * The folder in which data are copied fastest: in memory, if enough is free and TMPDIR is not set. A TMPDIR that
 * a test run has created for itself (HOLDFAST_RUN_FOLDER) does not count.
 */
export function fastDirectory(env: Environment): string {
  const { TMPDIR: given = '', HOLDFAST_RUN_FOLDER: runFolder } = env;
  if (given !== '' && given !== runFolder) return tmpdir();
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return type === TMPFS_MAGIC && bavail * bsize >= MEMORY_MIN_BYTES ? MEMORY_FOLDER : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Postgres does not work in a longer path (MAXPGPATH), to which it adds the names of its files. */
const MAX_PATH_BYTES = 960;

/** @throws StageFolderError for a path that is too long for a Postgres */
export function assertDataPath(path: string): void {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return;
  const reason = `the data of a Postgres need a path of at most ${MAX_PATH_BYTES} bytes`;
  throw new StageFolderError(tmpdir(), 'TMPDIR', reason);
}

/**
 * Copies a data folder and changes the owner of the copy to `user`. Synchronous: this copies a thousand small
 * files in a fraction of the time that promises take.
 * @param without folders that are not copied, as paths from the root of the data.
 */
export function copyDataDirectory(
  from: string,
  to: string,
  user: ProcessUser | undefined,
  without: readonly string[] = [],
): void {
  const changeOwner = (path: string): void => {
    if (user !== undefined) lchownSync(path, user.uid, user.gid);
  };
  mkdirSync(to);
  // Postgres refuses a data folder that other users can read.
  chmodSync(to, 0o700);
  changeOwner(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      const within = without.flatMap((path) =>
        path.startsWith(`${entry.name}/`) ? path.slice(entry.name.length + 1) : [],
      );
      if (!without.includes(entry.name)) copyDataDirectory(source, target, user, within);
    } else {
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
      changeOwner(target);
    }
  }
}
