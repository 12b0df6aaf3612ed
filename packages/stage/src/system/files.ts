import { access, constants, rename } from 'node:fs/promises';
import { errorCodeOf } from './fields.ts';

export async function exists(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** Moves a finished folder to its final path. A folder that another process has put there first is kept. */
export async function moveIntoPlace(from: string, to: string): Promise<void> {
  await rename(from, to).catch(ignoreExisting);
}

/** For an operation that another process may have done first, with the same result. */
export function ignoreExisting(error: unknown): void {
  const code = errorCodeOf(error);
  if (code !== 'EEXIST' && code !== 'ENOTEMPTY') throw error;
}
