import { access, constants } from 'node:fs/promises';

import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Environment, Program } from '../server-kind.ts';
import { type LocateOptions, fetchedRedis, systemName } from './fetch.ts';

/** Programs that are a Redis, in the order they are taken. */
const NAMES = ['redis-server', 'valkey-server'];

/**
 * The Redis on PATH, else the one in the cache folder, else one fetched into it.
 * @throws RedisNotFoundError
 */
export async function locateRedis(options: LocateOptions, signal: AbortSignal): Promise<Program> {
  for (const name of NAMES) {
    const file = await findOnPath(name, options.env['PATH'] ?? '');
    if (file !== undefined) return { file, env: {} };
  }
  const folder = join(cacheFolder(options.env), 'holdfast', 'redis', await systemName());
  return fetchedRedis(folder, options, signal);
}

async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    if (isAbsolute(folder) && (await isExecutable(file))) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache. */
function cacheFolder(env: Environment): string {
  const given = env['XDG_CACHE_HOME'];
  return given !== undefined && isAbsolute(given)
    ? given
    : join(env['HOME'] ?? homedir(), '.cache');
}
