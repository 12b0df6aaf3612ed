import { execFile } from 'node:child_process';
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import { PostgresNotFoundError } from '../errors.ts';
import { findOnPath, isExecutable } from '../local/path.ts';
import type { Environment, ProcessUser, Program } from '../server-kind.ts';
import { templateMajor, templatePath } from './template.ts';

/** A Postgres of this machine. */
export interface PostgresProgram extends Program {
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
 * The Postgres on PATH, else the newest of those that Debian keeps beside it.
 * @param version the major version it must be; any, if absent.
 * @throws PostgresNotFoundError
 */
export async function locatePostgres(
  version: number | undefined,
  env: Environment,
  signal: AbortSignal,
  debianFolder: string = DEBIAN_FOLDER,
): Promise<PostgresProgram> {
  const seen: string[] = [];
  for (const folder of await candidateFolders(env, debianFolder)) {
    const [file, initdb] = [join(folder, 'postgres'), join(folder, 'initdb')];
    if (!(await isExecutable(file)) || !(await isExecutable(initdb))) continue;
    const user = process.getuid?.() === 0 ? { user: NOBODY } : {};
    const template = await templatePath(file, env);
    // Starting a program takes longer than all the rest of this.
    const known = await templateMajor(template);
    const says = known === undefined ? await versionOf(file, user.user, signal) : String(known);
    const major = Number(/(\d+)/.exec(says)?.[1]);
    if (Number.isNaN(major) || (version !== undefined && major !== version)) {
      seen.push(`${file} says ${JSON.stringify(says)}`);
      continue;
    }
    return { file, initdb, major, template, env: {}, ...user };
  }
  throw new PostgresNotFoundError(version, seen);
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
  user: ProcessUser | undefined,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { ...user, env: { LC_ALL: 'C' }, cwd: '/', encoding: 'utf8' } as const;
    execFile(file, ['--version'], { ...options, signal }, (failure, stdout) => {
      if (failure === null) resolve(stdout.trim());
      else if (signal.aborted) reject(signal.reason);
      else resolve(types.isNativeError(failure) ? `nothing (${failure.code})` : 'nothing');
    });
  });
}
