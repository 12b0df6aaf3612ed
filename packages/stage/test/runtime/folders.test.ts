import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { locatePgBouncer } from '../../src/servers/postgres/pgbouncer-program.ts';
import { systemClock } from '@holdfast/foundation';
import { openWatchdog } from '../../src/watchdog/watchdog.ts';

const isRoot = process.getuid?.() === 0;
/** The folders of a run may have a long path of their own. */
const SHORT = '/tmp';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(SHORT, 'hf-'));
  await chmod(folder, 0o755);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Opens a stage in a process of its own; resolves with the fields of its error, if any. */
async function open(options: object, env: Record<string, string>, cwd = folder): Promise<unknown> {
  const program = join(import.meta.dirname, 'folders-runner.ts');
  const args = ['--disable-warning=ExperimentalWarning', program, JSON.stringify(options)];
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, HOLDFAST_RUN_FOLDER: '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => (printed += String(chunk)));
  await once(child, 'close');
  return JSON.parse(printed);
}

/** A folder whose path has so many bytes. */
async function folderOf(bytes: number): Promise<string> {
  let path = folder;
  while (path.length < bytes) {
    const left = bytes - path.length - 1;
    path = join(path, 'x'.repeat(Math.max(1, left > 200 ? 100 : left)));
  }
  await mkdir(path, { recursive: true });
  return path;
}

const EVERY_SERVER = {
  redis: 'sentinel',
  postgres: { replica: true, pgbouncer: true },
  supabase: true,
  git: true,
  tls: true,
};

test.each([49, 80, 100, 300])(
  'a TMPDIR of %d bytes is long enough for every server, and nothing is left in it',
  async (bytes) => {
    const path = await folderOf(bytes);
    expect(path).toHaveLength(bytes);
    expect(await open(EVERY_SERVER, { TMPDIR: path })).toEqual({});
    expect(await readdir(path)).toEqual([]);
  },
  60_000,
);

test('a TMPDIR with a space, a relative one and a symbolic link are used as any other', async () => {
  const spaced = join(folder, 'with a space, "quotes" and ü');
  await mkdir(spaced);
  await symlink(spaced, join(folder, 'link'));
  const options = { redis: true, postgres: { pgbouncer: true } };
  for (const TMPDIR of [spaced, 'link', join(folder, 'link')]) {
    expect(await open(options, { TMPDIR })).toEqual({});
  }
  expect(await readdir(spaced)).toEqual([]);
}, 60_000);

const refusal = (path: string, reason: RegExp): object => ({
  code: 'STAGE_FOLDER_UNUSABLE',
  folder: path,
  variable: 'TMPDIR',
  message: expect.stringMatching(
    new RegExp(`temporary folder.*cannot be used \\(${reason.source}.*Set TMPDIR to`),
  ),
});

test.each([{ redis: true }, { postgres: true }, { git: true }])(
  'a TMPDIR that is missing, no folder, or too long is a typed error that names it: %j',
  async (options) => {
    const missing = join(folder, 'missing');
    expect(await open(options, { TMPDIR: missing })).toMatchObject(refusal(missing, /ENOENT/));
    const file = join(folder, 'file');
    await writeFile(file, '');
    expect(await open(options, { TMPDIR: file })).toMatchObject(refusal(file, /ENOTDIR/));
    const long = await folderOf(4_080);
    expect(await open(options, { TMPDIR: long })).toMatchObject(refusal(long, /ENAMETOOLONG/));
  },
  60_000,
);

test('a TMPDIR that is too long for a Postgres alone is refused before it starts', async () => {
  const path = await folderOf(1_200);
  expect(await open({ redis: true }, { TMPDIR: path })).toEqual({});
  const refused = await open({ postgres: true }, { TMPDIR: path });
  expect(refused).toMatchObject(refusal(path, /the data of a Postgres need a path of at most/));
  expect(await readdir(path)).toEqual([]);
}, 60_000);

test('a TMPDIR that the user of the server cannot reach is a typed error', async () => {
  const closed = join(folder, 'closed', 'tmp');
  await mkdir(closed, { recursive: true });
  await chmod(dirname(closed), 0o700);
  const refused = open({ postgres: true }, { TMPDIR: closed });
  // Only root runs the server as another user.
  expect(await refused).toMatchObject(isRoot ? refusal(closed, /.*is closed to the user/) : {});
  expect(await open({ redis: true }, { TMPDIR: closed })).toEqual({});
}, 60_000);

test('a cache folder that cannot be written is a typed error that names it', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const cache = join(file, 'cache');
  const env = { XDG_CACHE_HOME: cache };
  expect(await open({ postgres: true }, env)).toMatchObject({
    code: 'STAGE_FOLDER_UNUSABLE',
    folder: join(cache, 'holdfast/postgres'),
    variable: 'XDG_CACHE_HOME',
    message: expect.stringMatching(/cache folder.*ENOTDIR.*Set XDG_CACHE_HOME to a folder/),
  });
  expect(await open({ redis: true }, { ...env, PATH: '/nowhere' })).toMatchObject({
    code: 'STAGE_REDIS_NOT_FOUND',
    message: expect.stringMatching(/ENOTDIR.*Set XDG_CACHE_HOME.*apt-get install redis-server/),
  });
  // What runs without a cache does so.
  expect(await open({ upstream: true, tls: true }, env)).toEqual({});
}, 60_000);

test('a PgBouncer that cannot be fetched into the cache folder says so, and what to install', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const watchdog = openWatchdog(systemClock);
  const options = {
    clock: systemClock,
    watchdog,
    fetchTimeoutMs: 5_000,
    env: { PATH: '', XDG_CACHE_HOME: join(file, 'cache') },
  };
  const located = locatePgBouncer(options, undefined, new AbortController().signal, []);
  await expect(located).rejects.toMatchObject({
    code: 'STAGE_PGBOUNCER_NOT_FOUND',
    message: expect.stringMatching(/ENOTDIR.*Set XDG_CACHE_HOME.*apt-get install pgbouncer/),
  });
  await watchdog.close();
});
