import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, chown, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import { withDeadline } from '@holdfast/foundation';
import { PostgresTemplateError } from '../../errors.ts';
import { cacheFolder } from '../../system/path.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import type { Environment, StageContext } from '../../topology/server-spec.ts';
import { copyDataDirectory } from './data-directory.ts';
import type { PostgresProgram } from './program.ts';
import { POSTGRES_USER } from './query.ts';

/** No passwords, the C locale, which every system has, and log files as small as may be to copy. */
export const INITDB_OPTIONS: readonly string[] = [
  `--username=${POSTGRES_USER}`,
  '--auth=trust',
  '--encoding=UTF8',
  '--no-locale',
  '--wal-segsize=1',
  '--no-sync',
];

/** Where the template of a program is kept: another build of it, as its file tells, has another one. */
export async function templatePath(file: string, env: Environment): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  const build = [file, size, mtimeMs, ...INITDB_OPTIONS].join('\n');
  const digest = createHash('sha256').update(build).digest('hex').slice(0, 16);
  return join(cacheFolder(env), 'holdfast', 'postgres', `template-${digest}`);
}

/** The major version of the Postgres that made a template; `undefined` when there is none yet. */
export async function templateMajor(folder: string): Promise<number | undefined> {
  const written = await readFile(join(folder, 'PG_VERSION'), 'latin1').catch(() => undefined);
  return written === undefined ? undefined : Number(written.trim());
}

/**
 * A data folder of a Postgres that has been initialised and never run: made by the first stage that wants
 * one, kept in the cache folder for each build of Postgres. Two processes that make it at once both do the
 * work; it appears whole, from whichever is first.
 * @throws PostgresTemplateError
 */
export async function templateDirectory(
  program: PostgresProgram,
  context: StageContext,
  signal: AbortSignal,
): Promise<string> {
  const folder = program.template;
  if (await exists(folder)) return folder;
  await mkdir(dirname(folder), { recursive: true });
  await withTempDirectory(join(tmpdir(), 'holdfast-initdb-'), context, async (work) => {
    const data = join(work, 'data');
    await mkdir(data, { mode: 0o700 });
    if (program.user !== undefined) {
      await chmod(work, 0o711);
      await chown(data, program.user.uid, program.user.gid);
    }
    await initialize(program, data, context, signal);
    await withTempDirectory(`${folder}.making-`, context, async (whole) => {
      const copy = join(whole, 'data');
      copyDataDirectory(data, copy, undefined);
      await rename(copy, folder).catch(acceptExisting);
    });
  });
  return folder;
}

async function withTempDirectory(
  prefix: string,
  { watchdog }: StageContext,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await createTempDirectory(prefix, watchdog);
  try {
    await work(folder.path);
  } finally {
    await folder.remove();
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
          const said = stderr.trim().slice(-1_000);
          reject(new PostgresTemplateError(`ended with ${failure.code}: ${said}`, failure));
        }
      });
    });
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Another process was first: its folder is as good as ours. */
function acceptExisting(error: unknown): void {
  const code = types.isNativeError(error) && 'code' in error ? error.code : undefined;
  if (code !== 'EEXIST' && code !== 'ENOTEMPTY') throw error;
}
