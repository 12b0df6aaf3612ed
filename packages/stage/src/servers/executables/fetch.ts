import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import { withDeadline } from '@holdfast/foundation';
import type { Environment, StageContext } from '../../topology/server-spec.ts';
import { aptConf, libraryDependencies, missingLibraries } from './apt.ts';

export interface LocateOptions extends Pick<StageContext, 'clock' | 'watchdog' | 'fetchTimeoutMs'> {
  readonly env: Environment;
}

/** A server as the system's package sources have it. */
export interface PackageSpec {
  /**
   * The packages that hold it.
   * @param dependsOf what `apt-cache depends` prints of a package.
   */
  packages(dependsOf: (name: string) => Promise<string>): Promise<readonly string[]>;
  /** Its programs in the unpacked tree, the one that answers `--version` first. */
  programs(tree: string): Promise<readonly string[]>;
  /** Whether a library that a package depends on can be done without. */
  isOptional(library: string): boolean;
  /** What is thrown when it cannot be fetched. */
  notFound(seen: string, cause?: unknown): Error;
}

/** An unpacked server, and what its programs need in their environment. */
export interface FetchedTree {
  readonly programs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

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
 * The server in `folder`; when there is none, fetches it there from the system's own package sources
 * (Debian, Ubuntu), without root and without installing anything. Two processes that fetch at once both
 * do the work; the folder appears whole, from whichever is first.
 * @throws what `wanted.notFound` makes.
 */
export async function fetchedTree(
  folder: string,
  wanted: PackageSpec,
  context: LocateOptions,
  signal: AbortSignal,
): Promise<FetchedTree> {
  if (await exists(folder)) return inspectTree(folder, wanted);
  const { clock, fetchTimeoutMs, watchdog, env } = context;
  const late = (): Error =>
    wanted.notFound(`fetching one took longer than fetchTimeoutMs (${fetchTimeoutMs})`);
  return withDeadline(clock, fetchTimeoutMs, signal, late, async (limit) => {
    await mkdir(dirname(folder), { recursive: true }).catch((error: unknown) => {
      throw wanted.notFound(`one cannot be fetched into ${dirname(folder)}`, error);
    });
    const work = await mkdtemp(`${folder}.fetching-`);
    const release = watchdog.guard({ type: 'directory', path: work });
    try {
      const tree = await unpack(work, wanted, env, limit);
      await rename(tree, folder).catch(acceptExisting);
      return await inspectTree(folder, wanted);
    } finally {
      await rm(work, { recursive: true, force: true, maxRetries: 3 });
      release();
    }
  });
}

/** Downloads the server and, step by step, the libraries this machine lacks; returns the unpacked tree. */
async function unpack(
  work: string,
  wanted: PackageSpec,
  env: Environment,
  signal: AbortSignal,
): Promise<string> {
  const [tree, archives, conf] = [join(work, 'tree'), join(work, 'debs'), join(work, 'apt.conf')];
  for (const folder of ['tree', 'debs', 'lists/partial', 'cache/archives/partial']) {
    await mkdir(join(work, folder), { recursive: true });
  }
  await writeFile(conf, aptConf(work));
  const call = (
    file: string,
    args: readonly string[],
    options: Partial<RunOptions> = {},
  ): Promise<string> =>
    run(file, args, { env, signal, notFound: wanted.notFound.bind(wanted), ...options });
  const dependsOf = (...names: readonly string[]): Promise<string> =>
    call('apt-cache', ['-c', conf, 'depends', ...names]);
  const download = (names: readonly string[]): Promise<string> =>
    call('apt-get', ['-c', conf, 'download', ...names], { cwd: archives });
  const downloadServer = async (): Promise<readonly string[]> => {
    const names = await wanted.packages(dependsOf);
    await download(names);
    return names;
  };

  let names: readonly string[];
  try {
    await call('apt-get', ['-c', conf, 'update']);
    names = await downloadServer();
  } catch (error) {
    signal.throwIfAborted();
    // One source of many that does not answer fails the update without harm to the source we need.
    names = await downloadServer().catch(() => {
      throw error;
    });
  }
  const fetched = new Set<string>();
  for (let step = 0; step < MAX_DEPENDENCY_STEPS; step += 1) {
    for (const name of names) fetched.add(name);
    for (const archive of await readdir(archives)) {
      await call('dpkg', ['-x', join(archives, archive), tree]);
      await rm(join(archives, archive));
    }
    const { programs, env: added } = await inspectTree(tree, wanted);
    const own = { ...env, ...added };
    const missing = missingLibraries(await call('ldd', programs, { env: own }));
    if (missing.length === 0) {
      for (const file of programs.slice(0, 1)) await call(file, ['--version'], { env: own });
      return tree;
    }
    const libraries = libraryDependencies(await dependsOf(...names));
    names = libraries.filter((name) => !fetched.has(name) && !wanted.isOptional(name));
    if (names.length === 0) throw wanted.notFound(`the fetched one lacks ${missing.join(', ')}`);
    await download(names);
  }
  throw wanted.notFound(`${MAX_DEPENDENCY_STEPS} steps along its libraries found no end`);
}

async function inspectTree(tree: string, wanted: PackageSpec): Promise<FetchedTree> {
  const folders: string[] = [];
  for (const root of [join(tree, 'usr/lib'), join(tree, 'lib')]) {
    const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
    const found = entries.filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'));
    folders.push(...found.map((entry) => join(root, entry.name)));
  }
  const programs = await wanted.programs(tree);
  return { programs, env: { LD_LIBRARY_PATH: folders.join(':') } };
}

interface RunOptions {
  readonly signal: AbortSignal;
  readonly env: Environment;
  readonly cwd?: string;
  readonly notFound: PackageSpec['notFound'];
}

/** Runs a program of the system and resolves with what it printed. */
function run(file: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { signal, cwd, notFound } = options;
  const env = { ...options.env, LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    execFile(file, args, { signal, cwd, env, encoding: 'utf8' }, (failure, stdout, stderr) => {
      if (failure === null) resolve(stdout);
      else if (signal.aborted) reject(signal.reason);
      else if (failure.code === 'ENOENT') {
        reject(notFound(`this system has no ${file} to fetch one with`, failure));
      } else {
        const verb = args.find((word) => /^[a-z]+$/.test(word)) ?? '';
        const complaint = stderr.trim().split('\n').at(-1) ?? '';
        const seen = `fetching one failed: '${file} ${verb}' ended with ${failure.code}, ${complaint}`;
        reject(notFound(seen, failure));
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
