import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import { withDeadline } from '../deadline.ts';
import { RedisNotFoundError } from '../errors.ts';
import type { Environment, Program, StageContext } from '../server-kind.ts';
import { aptConf, libraryDependencies, missingLibraries } from './apt.ts';

export interface LocateOptions extends Pick<StageContext, 'clock' | 'watchdog' | 'fetchTimeoutMs'> {
  readonly env: Environment;
}

/** Packages that hold the server: its binary is a link into redis-tools. */
const SERVER_PACKAGES: readonly string[] = ['redis-server', 'redis-tools'];
/** How many steps along the dependencies of libraries are taken before giving up. */
const MAX_DEPENDENCY_STEPS = 4;

/** Names the kind of system a fetched binary runs on, such as `debian-12-x64`. */
export async function systemName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (key: string): string =>
    new RegExp(`^${key}="?([\\w.-]*)`, 'm').exec(release)?.[1] ?? 'unknown';
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`;
}

/**
 * The Redis in `folder`; when there is none, fetches it there from the system's own package sources
 * (Debian, Ubuntu), without root and without installing anything. Two processes that fetch at once both
 * do the work; the folder appears whole, from whichever is first.
 * @throws RedisNotFoundError
 */
export async function fetchedRedis(
  folder: string,
  context: LocateOptions,
  signal: AbortSignal,
): Promise<Program> {
  if (await exists(folder)) return programIn(folder);
  const { clock, fetchTimeoutMs, watchdog, env } = context;
  const late = (): Error =>
    new RedisNotFoundError(`fetching one took longer than fetchTimeoutMs (${fetchTimeoutMs})`);
  return withDeadline(clock, fetchTimeoutMs, signal, late, async (limit) => {
    await mkdir(dirname(folder), { recursive: true });
    const work = await mkdtemp(`${folder}.fetching-`);
    const release = watchdog.guard({ type: 'directory', path: work });
    try {
      const tree = await unpackRedis(work, env, limit);
      await rename(tree, folder).catch(acceptExisting);
      return await programIn(folder);
    } finally {
      await rm(work, { recursive: true, force: true, maxRetries: 3 });
      release();
    }
  });
}

/** Downloads the server and, step by step, the libraries this machine lacks; returns the unpacked tree. */
async function unpackRedis(work: string, env: Environment, signal: AbortSignal): Promise<string> {
  const [tree, archives, conf] = [join(work, 'tree'), join(work, 'debs'), join(work, 'apt.conf')];
  for (const folder of ['tree', 'debs', 'lists/partial', 'cache/archives/partial']) {
    await mkdir(join(work, folder), { recursive: true });
  }
  await writeFile(conf, aptConf(work));
  const fetched = new Set<string>();
  let wanted = SERVER_PACKAGES;
  const download = (): Promise<string> =>
    run('apt-get', ['-c', conf, 'download', ...wanted], { cwd: archives, env, signal });
  try {
    await run('apt-get', ['-c', conf, 'update'], { env, signal });
    await download();
  } catch (error) {
    signal.throwIfAborted();
    // One source of many that does not answer fails the update without harm to the source we need.
    await download().catch(() => {
      throw error;
    });
  }
  for (let step = 0; step < MAX_DEPENDENCY_STEPS; step += 1) {
    for (const name of wanted) fetched.add(name);
    for (const archive of await readdir(archives)) {
      await run('dpkg', ['-x', join(archives, archive), tree], { env, signal });
      await rm(join(archives, archive));
    }
    const program = await programIn(tree);
    const { file } = program;
    const own = { ...env, ...program.env };
    const missing = missingLibraries(await run('ldd', [file], { env: own, signal }));
    if (missing.length === 0) {
      await run(file, ['--version'], { env: own, signal });
      return tree;
    }
    const depends = await run('apt-cache', ['-c', conf, 'depends', ...wanted], { env, signal });
    wanted = libraryDependencies(depends).filter((name) => !fetched.has(name));
    if (wanted.length === 0) {
      throw new RedisNotFoundError(`the fetched one lacks ${missing.join(', ')}`);
    }
    await download();
  }
  throw new RedisNotFoundError(`${MAX_DEPENDENCY_STEPS} steps along its libraries found no end`);
}

async function programIn(tree: string): Promise<Program> {
  const folders: string[] = [];
  for (const root of [join(tree, 'usr/lib'), join(tree, 'lib')]) {
    const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
    const found = entries.filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'));
    folders.push(...found.map((entry) => join(root, entry.name)));
  }
  return { file: join(tree, 'usr/bin/redis-server'), env: { LD_LIBRARY_PATH: folders.join(':') } };
}

interface RunOptions {
  readonly signal: AbortSignal;
  readonly env: Environment;
  readonly cwd?: string;
}

/** Runs a program of the system and resolves with what it printed. */
function run(file: string, args: readonly string[], options: RunOptions): Promise<string> {
  const env = { ...options.env, LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    execFile(file, args, { ...options, env, encoding: 'utf8' }, (failure, stdout, stderr) => {
      if (failure === null) resolve(stdout);
      else if (options.signal.aborted) reject(options.signal.reason);
      else if (failure.code === 'ENOENT') {
        reject(new RedisNotFoundError(`this system has no ${file} to fetch one with`, failure));
      } else {
        const verb = args.find((word) => /^[a-z]+$/.test(word)) ?? '';
        const complaint = stderr.trim().split('\n').at(-1) ?? '';
        const seen = `fetching one failed: '${file} ${verb}' ended with ${failure.code}, ${complaint}`;
        reject(new RedisNotFoundError(seen, failure));
      }
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
