import { join } from 'node:path';
import { RedisNotFoundError } from '../../errors.ts';
import {
  type PackageSpec,
  type LocateOptions,
  fetchedTree,
  systemName,
} from '../executables/fetch.ts';
import { cacheFolder, findOnPath } from '../../system/path.ts';
import type { Executable } from '../../system/executable.ts';

/** Executables of Redis servers, in order of preference. */
const NAMES = ['redis-server', 'valkey-server'];

const packageSpec: PackageSpec = {
  name: 'Redis',
  // The binary of the server is a link into redis-tools.
  packages: () => Promise.resolve(['redis-server', 'redis-tools']),
  programs: (tree) => Promise.resolve([join(tree, 'usr/bin/redis-server')]),
  isOptional: () => false,
  notFound: (reason, cause) => new RedisNotFoundError(reason, cause),
};

/**
 * The Redis on PATH, else the one in the cache folder, which is fetched if necessary.
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
  const { programs, env } = await fetchedTree(folder, packageSpec, options, signal);
  const [file] = programs;
  if (file === undefined) throw new RedisNotFoundError('the fetched package has no executable');
  return { file, env };
}
