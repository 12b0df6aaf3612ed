import { execFile } from 'node:child_process';
import { cp, mkdtemp, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { environment } from '@holdfast/foundation';

export const ROOT: string = join(import.meta.dirname, '../../..');
/** The variable that names the folder of the tarballs; the setup of the tests sets it. */
export const TARBALLS_VARIABLE = 'HOLDFAST_TARBALLS';
/** Packing and installing run other programs, and fetch from the registry. */
export const SLOW_MS = 600_000;

/** The pnpm that the workspace is set up with. */
export const PNPM = 'pnpm@12.21.0';
const COMMAND_TIMEOUT_MS = 240_000;

const run = promisify(execFile);
const notCopied = new Set(['.git', 'node_modules', 'reports', 'coverage', 'dist']);

/** Runs a program; resolves with its output. @throws Error with the output when its status is not 0 */
export async function execute(
  command: string,
  args: readonly string[],
  { cwd, env }: { cwd: string; env?: Readonly<Record<string, string>> },
): Promise<string> {
  // What npm and Jest add to the environment of a script is not that of a stranger.
  const added = /^(npm_package_|npm_lifecycle_|npm_config_(local_)?prefix|NODE_OPTIONS$|NODE_ENV$)/;
  const own = Object.entries(environment).filter(([name]) => !added.test(name));
  try {
    const running = run(command, args, {
      cwd,
      env: { ...Object.fromEntries(own), ...env },
      maxBuffer: 64 * 1_024 * 1_024,
      timeout: COMMAND_TIMEOUT_MS,
    });
    // A program that asks gets no answer, instead of waiting for one.
    running.child.stdin?.end();
    const { stdout, stderr } = await running;
    return `${stdout}${stderr}`;
  } catch (error) {
    const { stdout = '', stderr = '' } = Object(error);
    const message = `${[command, ...args].join(' ')} in ${cwd}:\n${stdout}${stderr}`;
    throw new Error(message, { cause: error });
  }
}

/** Copies the workspace, so that packing rewrites no manifest that other tests read. */
export async function copyWorkspace(): Promise<string> {
  const to = await mkdtemp(join(tmpdir(), 'holdfast-workspace-'));
  await cp(ROOT, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter(source) {
      const path = relative(ROOT, source).split(sep);
      // The folders of packages link to the workspace by relative paths, which hold in the copy too.
      if (path.length === 3 && path[0] === 'packages' && path[2] === 'node_modules') return true;
      if (path.length > 3 && path[2] === 'node_modules') return true;
      return !notCopied.has(path.at(-1) ?? '') && !source.endsWith('.tsbuildinfo');
    },
  });
  await symlink(join(ROOT, 'node_modules'), join(to, 'node_modules'));
  return to;
}

/** The published packages, lowest layer first as far as npm needs it: by name. */
export async function publishedNames(): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(join(ROOT, 'packages'))).toSorted()) {
    const path = join(ROOT, 'packages', name, 'package.json');
    const manifest = JSON.parse(await readFile(path, 'utf8').catch(() => '{ "private": true }'));
    if (manifest.private !== true) names.push(name);
  }
  return names;
}

export function tarball(name: string): string {
  return join(environment[TARBALLS_VARIABLE] ?? '', `holdfast-${name}-0.1.0.tgz`);
}

/** An empty project with some files and dependencies; removed by the returned function. */
export interface Project {
  readonly folder: string;
  /** Runs a program of the project's dependencies, or of the machine. */
  run(command: string, args: readonly string[], env?: Record<string, string>): Promise<string>;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
}

/**
 * @param packages our packages to install from their tarballs, with what they depend on.
 * @param others what else to install, such as `bullmq@5`.
 */
export async function createProject(
  packages: readonly string[],
  others: readonly string[],
  { type = 'module', installer = 'npm' }: { type?: string; installer?: 'npm' | 'pnpm' } = {},
): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-project-'));
  const project: Project = {
    folder,
    run: (command, args, env = {}) => {
      const bin = join(folder, 'node_modules', '.bin');
      const path = [bin, join(process.execPath, '..'), environment['PATH']].join(':');
      return execute(command, args, { cwd: folder, env: { ...env, PATH: path } });
    },
    async write(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(join(folder, name, '..'), { recursive: true });
        await writeFile(join(folder, name), text);
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  // Not in a registry yet, so what a package of ours depends on is taken from its tarball too.
  const tarballs = Object.fromEntries(
    (await publishedNames()).map((name) => [`@holdfast/${name}`, `file:${tarball(name)}`]),
  );
  const own = packages.map((name) => [`@holdfast/${name}`, tarballs[`@holdfast/${name}`]]);
  const manifest = {
    private: true,
    type,
    dependencies: Object.fromEntries(own),
    overrides: tarballs,
  };
  await project.write({ 'package.json': JSON.stringify(manifest) });
  if (installer === 'npm') {
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    await project.run('npm', ['install', ...quiet, ...others]);
  } else {
    const workspace = { packages: [], overrides: tarballs, strictDepBuilds: false };
    await project.write({ 'pnpm-workspace.yaml': JSON.stringify(workspace) });
    const pnpm = ['--yes', PNPM, '-C', folder, 'add', '--ignore-scripts', ...others];
    await execute('npx', pnpm, { cwd: tmpdir() });
  }
  return project;
}
