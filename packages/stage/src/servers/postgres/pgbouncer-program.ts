import { delimiter, join } from 'node:path';
import { PgBouncerNotFoundError } from '../../errors.ts';
import type { Executable, ProcessUser } from '../../system/executable.ts';
import { findOnPath, sharedCacheFolder } from '../../system/path.ts';
import {
  type LocateOptions,
  type PackageSpec,
  fetchedTree,
  systemName,
} from '../executables/fetch.ts';

const NAME = 'pgbouncer';
/** Where Debian and Fedora install it, which is on the PATH of root only. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

const packageSpec: PackageSpec = {
  name: 'PgBouncer',
  packages: () => Promise.resolve([NAME]),
  programs: (tree) => Promise.resolve([join(tree, 'usr/sbin', NAME)]),
  isOptional: () => false,
  notFound: (reason, cause) => new PgBouncerNotFoundError(reason, cause),
};

/**
 * The PgBouncer on PATH or where systems install it, else the one in the cache folder, which is fetched if
 * necessary.
 * @param user as which it runs; it refuses to run as root.
 * @throws PgBouncerNotFoundError
 */
export async function locatePgBouncer(
  options: LocateOptions,
  user: ProcessUser | undefined,
  signal: AbortSignal,
  systemFolders: readonly string[] = SYSTEM_FOLDERS,
): Promise<Executable> {
  const { env } = options;
  const owner = user === undefined ? {} : { user };
  const folders = [env['PATH'] ?? '', ...systemFolders].join(delimiter);
  const installed = await findOnPath(NAME, folders);
  if (installed !== undefined) return { file: installed, env: {}, ...owner };
  const folder = join(sharedCacheFolder(env), 'holdfast', NAME, await systemName());
  const { programs, env: added } = await fetchedTree(folder, packageSpec, options, signal);
  const [file] = programs;
  if (file === undefined) throw new PgBouncerNotFoundError('the fetched package has no executable');
  return { file, env: added, ...owner };
}
