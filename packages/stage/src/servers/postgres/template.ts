import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { withDeadline } from '@holdfast/foundation';
import { type FolderVariable, PostgresTemplateError } from '../../errors.ts';
import { announceFirstRun } from '../../topology/first-run.ts';
import type { Environment, Executable } from '../../system/executable.ts';
import { exists, moveIntoPlace } from '../../system/files.ts';
import { assertReachable, inFolder } from '../../system/folders.ts';
import { cacheFolder } from '../../system/path.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import { assertDataPath, copyDataDirectory } from './data-directory.ts';
import { POSTGRES_USER } from './query.ts';

/** No passwords, the C locale, which every system has, and small log files, which are quick to copy. */
export const INITDB_OPTIONS: readonly string[] = [
  `--username=${POSTGRES_USER}`,
  '--auth=trust',
  '--encoding=UTF8',
  '--no-locale',
  '--wal-segsize=1',
  '--no-sync',
];

/** A Postgres of this machine. */
export interface PostgresProgram extends Executable {
  readonly initdb: string;
  readonly major: number;
  /** The folder of its template, which may not exist yet. */
  readonly template: string;
}

/** The folder of the template for an executable; each build of it has its own. */
export async function templatePath(file: string, env: Environment): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  const build = [file, size, mtimeMs, ...INITDB_OPTIONS].join('\n');
  const digest = createHash('sha256').update(build).digest('hex').slice(0, 16);
  return join(cacheFolder(env), 'holdfast', 'postgres', `template-${digest}`);
}

/** The major version of the Postgres that created a template; `undefined` when it does not exist. */
export async function templateMajor(folder: string): Promise<number | undefined> {
  const written = await readFile(join(folder, 'PG_VERSION'), 'latin1').catch(() => undefined);
  return written === undefined ? undefined : Number(written.trim());
}

/**
 * The data folder of an initialized Postgres that has never run: created by the first stage that needs it, and
 * kept in the cache folder for each build of Postgres. Two processes that create it at once both do the work;
 * the first one publishes the complete folder.
 * @throws PostgresTemplateError, StageFolderError
 */
export async function templateDirectory(
  program: PostgresProgram,
  context: StageContext,
  signal: AbortSignal,
): Promise<string> {
  const folder = program.template;
  if (await exists(folder)) return folder;
  announceFirstRun('creating the initial data of a Postgres', context.fetchTimeoutMs);
  const cache = dirname(folder);
  await inFolder(cache, 'XDG_CACHE_HOME', () => mkdir(cache, { recursive: true }));
  await withTempDirectory(join(tmpdir(), 'holdfast-initdb-'), 'TMPDIR', context, async (work) => {
    const data = join(work, 'data');
    assertDataPath(data);
    await mkdir(data, { mode: 0o700 });
    if (program.user !== undefined) {
      await chmod(work, 0o711);
      await assertReachable(data, program.user);
      await chown(data, program.user.uid, program.user.gid);
    }
    await initialize(program, data, context, signal);
    await withTempDirectory(`${folder}.making-`, 'XDG_CACHE_HOME', context, async (beside) => {
      const copy = join(beside, 'data');
      copyDataDirectory(data, copy, undefined);
      await moveIntoPlace(copy, folder);
    });
  });
  return folder;
}

async function withTempDirectory(
  prefix: string,
  variable: FolderVariable,
  { watchdog }: StageContext,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const directory = await createTempDirectory(prefix, watchdog, variable);
  try {
    await inFolder(dirname(directory.path), variable, () => work(directory.path));
  } finally {
    await directory.remove();
  }
}

function initialize(
  { initdb, user, env }: PostgresProgram,
  data: string,
  { clock, fetchTimeoutMs }: StageContext,
  signal: AbortSignal,
): Promise<void> {
  const late = (): Error =>
    new PostgresTemplateError(`took longer than fetchTimeoutMs (${fetchTimeoutMs})`);
  return withDeadline(clock, fetchTimeoutMs, signal, late, async (limit) => {
    const options = { ...user, cwd: data, env: { ...env, LC_ALL: 'C' }, signal: limit };
    await new Promise<void>((resolve, reject) => {
      execFile(initdb, [...INITDB_OPTIONS, `--pgdata=${data}`], options, (failure, _, stderr) => {
        if (failure === null) resolve();
        else if (limit.aborted) reject(limit.reason);
        else {
          const printed = stderr.trim().slice(-1_000);
          reject(new PostgresTemplateError(`ended with ${failure.code}: ${printed}`, failure));
        }
      });
    });
  });
}
