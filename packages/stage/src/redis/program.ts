import { join } from 'node:path';
import { cacheFolder, findOnPath } from '../local/path.ts';
import type { Program } from '../server-kind.ts';
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
