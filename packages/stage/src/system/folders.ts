import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FolderVariable, StageFolderError } from '../errors.ts';
import type { ProcessUser } from './executable.ts';
import { errorCodeOf } from './fields.ts';

/** The codes by which a file system refuses: missing, closed, read-only, full, or a path that is too long. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ENOTDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOSPC',
  'EDQUOT',
  'ENAMETOOLONG',
  'ELOOP',
]);

/** Whether a file system has refused an operation; not a failure of the code that has called it. */
function isFolderRefusal(error: unknown): boolean {
  return REFUSALS.has(errorCodeOf(error));
}

/**
 * Works in a folder that an environment variable names.
 * @throws StageFolderError when its file system refuses
 */
export async function inFolder<T>(
  folder: string,
  variable: FolderVariable,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFolderRefusal(error)) throw error;
    throw new StageFolderError(folder, variable, String(errorCodeOf(error)), error);
  }
}

/**
 * A server that runs as another user has to reach its folder.
 * @throws StageFolderError when a folder above it is closed to that user
 */
export async function assertReachable(path: string, { uid, gid }: ProcessUser): Promise<void> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const entry = await stat(folder);
    const bit = entry.uid === uid ? 0o100 : entry.gid === gid ? 0o010 : 0o001;
    if ((entry.mode & bit) === 0) {
      const reason = `${folder} is closed to the user ${uid}, as which the server runs`;
      throw new StageFolderError(dirname(path), 'TMPDIR', reason);
    }
    if (folder === dirname(folder)) return;
  }
}
