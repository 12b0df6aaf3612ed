import { constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Environment } from './executable.ts';
import { exists } from './files.ts';

/** The first executable of that name in the folders of PATH. */
export async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    if (isAbsolute(folder) && (await isExecutable(file))) return file;
  }
  return undefined;
}

export async function isExecutable(file: string): Promise<boolean> {
  return exists(file, constants.X_OK);
}

/** XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache. */
export function cacheFolder(env: Environment): string {
  const given = env['XDG_CACHE_HOME'];
  return given !== undefined && isAbsolute(given)
    ? given
    : join(env['HOME'] || homedir(), '.cache');
}

/** A cache folder whose files every user of this machine can run; the home folder of root is closed to others. */
export function sharedCacheFolder(env: Environment): string {
  const isPrivate = env['XDG_CACHE_HOME'] !== undefined || process.getuid?.() !== 0;
  return isPrivate ? cacheFolder(env) : '/var/cache';
}
