import { join } from 'node:path';
import { RedisNotFoundError } from '../../errors.ts';
import {
  type PackageSpec,
  type LocateOptions,
  fetchedTree,
  systemName,
} from '../executables/fetch.ts';
import { cacheFolder, findOnPath } from '../../system/path.ts';
import type { Executable } from '../../topology/server-spec.ts';

/** Programs that are a Redis, in the order they are taken. */
const NAMES = ['redis-server', 'valkey-server'];

const fetchable: PackageSpec = {
  // The server's binary is a link into redis-tools.
  packages: () => Promise.resolve(['redis-server', 'redis-tools']),
  programs: (tree) => Promise.resolve([join(tree, 'usr/bin/redis-server')]),
  isOptional: () => false,
  notFound: (seen, cause) => new RedisNotFoundError(seen, cause),
};

/**
 * The Redis on PATH, else the one in the cache folder, else one fetched into it.
 * @throws RedisNotFoundError
 */
export async function locateRedis(
  options: LocateOptions,
  signal: AbortSignal,
): Promise<Executable> {
  for (const name of NAMES) {
    const file = await findOnPath(name, options.env['PATH'] ?? '');
    if (file !== undefined) return { file, env: {} };
  }
  const folder = join(cacheFolder(options.env), 'holdfast', 'redis', await systemName());
  const { programs, env } = await fetchedTree(folder, fetchable, options, signal);
  const [file] = programs;
  if (file === undefined) throw new RedisNotFoundError('the fetched one has no program');
  return { file, env };
}
