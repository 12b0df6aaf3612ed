import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isHoldfastError, withDeadline } from '@holdfast/foundation';
import { announceFirstRun } from '../../topology/first-run.ts';
import type { Environment, Executable } from '../../system/executable.ts';
import { exists, moveIntoPlace } from '../../system/files.ts';
import { inFolder } from '../../system/folders.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import { aptConf, libraryDependencies, missingLibraries } from './apt.ts';

export interface LocateOptions extends Pick<StageContext, 'clock' | 'watchdog' | 'fetchTimeoutMs'> {
  readonly env: Environment;
}

/** A server in the system's package sources. */
export interface PackageSpec {
  /** As people call it. */
  readonly name: string;
  /**
   * The packages that contain it.
   * @param dependsOf the output of `apt-cache depends` for a package.
   */
  packages(dependsOf: (name: string) => Promise<string>): Promise<readonly string[]>;
  /** Its executables in the unpacked tree; the first supports `--version`. */
  programs(tree: string): Promise<readonly string[]>;
  /** Whether the server works without a library that a package depends on. */
  isOptional(library: string): boolean;
  /** The error when it cannot be fetched. */
  notFound(reason: string, cause?: unknown): Error;
}

/** The executables of an unpacked server, and their environment. */
interface FetchedTree {
  readonly programs: readonly string[];
  readonly env: Executable['env'];
}

/** How many levels of dependencies are fetched before giving up. */
const MAX_DEPENDENCY_LEVELS = 4;

/** Names the system that a fetched binary runs on, such as `debian-12-x64`. */
export async function systemName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (key: string): string =>
    new RegExp(`^${key}="?([\\w.-]*)`, 'm').exec(release)?.[1] ?? 'unknown';
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`;
}

/**
 * The server in `folder`, which is fetched from the system's own package sources if necessary (Debian, Ubuntu),
 * without root and without installing anything. Two processes that fetch at once both do the work; the first
 * one publishes the complete folder.
 * @throws the error of `wanted.notFound`.
 */
export async function fetchedTree(
  folder: string,
  wanted: PackageSpec,
  context: LocateOptions,
  signal: AbortSignal,
): Promise<FetchedTree> {
  if (await exists(folder)) return inspectTree(folder, wanted);
  const { clock, fetchTimeoutMs, watchdog, env } = context;
  announceFirstRun(`fetching ${wanted.name}`, fetchTimeoutMs);
  const late = (): Error =>
    wanted.notFound(`fetching one took longer than fetchTimeoutMs (${fetchTimeoutMs})`);
  return withDeadline(clock, fetchTimeoutMs, signal, late, async (limit) => {
    const fetchInto = async (): Promise<FetchedTree> => {
      await mkdir(dirname(folder), { recursive: true });
      const directory = await createTempDirectory(
        `${folder}.fetching-`,
        watchdog,
        'XDG_CACHE_HOME',
      );
      try {
        const tree = await unpack(directory.path, wanted, env, limit);
        await moveIntoPlace(tree, folder);
        return await inspectTree(folder, wanted);
      } finally {
        await directory.remove();
      }
    };
    return inFolder(dirname(folder), 'XDG_CACHE_HOME', fetchInto).catch((error: unknown) => {
      if (!(isHoldfastError(error) && error.code === 'STAGE_FOLDER_UNUSABLE')) throw error;
      throw wanted.notFound(`one cannot be fetched (${error.message})`, error);
    });
  });
}

/** Downloads the server and the libraries that this machine lacks; returns the unpacked tree. */
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
    // An update also fails when a source does not answer that this server is not in.
    names = await downloadServer().catch(() => {
      throw error;
    });
  }
  const fetched = new Set<string>();
  for (let level = 0; level < MAX_DEPENDENCY_LEVELS; level += 1) {
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
  throw wanted.notFound(`it has more than ${MAX_DEPENDENCY_LEVELS} levels of libraries`);
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

/** Runs a command and resolves with its output. */
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
        const verb = args.find((argument) => /^[a-z]+$/.test(argument)) ?? '';
        const lastLine = stderr.trim().split('\n').at(-1) ?? '';
        const reason = `fetching one failed: '${file} ${verb}' ended with ${failure.code}, ${lastLine}`;
        reject(notFound(reason, failure));
      }
    });
  });
}
