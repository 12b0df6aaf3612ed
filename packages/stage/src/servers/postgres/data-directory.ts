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
import type { Environment, ProcessUser } from '../../topology/server-spec.ts';

/** What statfs(2) calls a tmpfs. */
const TMPFS_MAGIC = 0x01_02_19_94;
const MEMORY_FOLDER = '/dev/shm';
/** With less room than this the memory is left to others. */
const MEMORY_MIN_BYTES = 1_073_741_824;

/**
 * Where data are fastest copied to: memory, where there is plenty and TMPDIR does not say otherwise. A TMPDIR
 * that a run of tests has made for itself (HOLDFAST_RUN_FOLDER) says nothing of where data should be.
 */
export function fastDirectory(env: Environment): string {
  const { TMPDIR: asked = '', HOLDFAST_RUN_FOLDER: own } = env;
  if (asked !== '' && asked !== own) return tmpdir();
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return type === TMPFS_MAGIC && bavail * bsize >= MEMORY_MIN_BYTES ? MEMORY_FOLDER : tmpdir();
  } catch {
    return tmpdir();
  }
}

/**
 * Copies a data folder and gives the copy to `user`. Synchronous: a thousand small files take a fraction
 * of the time that as many promises do.
 * @param without folders that are left out, as paths from the root of the data.
 */
export function copyDataDirectory(
  from: string,
  to: string,
  user: ProcessUser | undefined,
  without: readonly string[] = [],
): void {
  const own = (path: string): void => {
    if (user !== undefined) lchownSync(path, user.uid, user.gid);
  };
  mkdirSync(to);
  // Postgres refuses data that others may read.
  chmodSync(to, 0o700);
  own(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      const within = without.flatMap((path) =>
        path.startsWith(`${entry.name}/`) ? path.slice(entry.name.length + 1) : [],
      );
      if (!without.includes(entry.name)) copyDataDirectory(source, target, user, within);
    } else {
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
      own(target);
    }
  }
}
