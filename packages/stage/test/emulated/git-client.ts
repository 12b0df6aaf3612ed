import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateGit } from '../../src/servers/emulated/locate-git.ts';

/** How a call of git went. */
export interface GitOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user of git with a folder of his own, untouched by the configuration of this machine. */
export interface GitClient {
  /** Runs git in the folder of that name within his own. */
  git(folder: string, ...args: readonly string[]): Promise<GitOutcome>;
  /** The same for a command that must not fail; resolves with the output of git. */
  must(folder: string, ...args: readonly string[]): Promise<string>;
  clone(url: string, folder: string): Promise<void>;
  commit(folder: string, file: string, content: string | Buffer): Promise<void>;
  close(): Promise<void>;
}

/** Why this machine has no git remote; `undefined` when it has one. */
export const gitObstacle = await locateGit(process.env).then(() => undefined, String);

export async function openGitClient(): Promise<GitClient> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-git-client-'));
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@test',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@test',
  };
  const git: GitClient['git'] = (folder, ...args) =>
    new Promise((resolve) => {
      execFile('git', args, { cwd: join(home, folder), env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const must: GitClient['must'] = async (folder, ...args) => {
    const { code, stdout, stderr } = await git(folder, ...args);
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    git,
    must,
    async clone(url, folder) {
      await must('.', 'clone', '--quiet', url, folder);
    },
    async commit(folder, file, content) {
      await writeFile(join(home, folder, file), content);
      await must(folder, 'add', file);
      await must(folder, 'commit', '--quiet', '--message', file);
    },
    close: () => rm(home, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** Bytes that no compression makes fewer. */
export function incompressible(bytes: number): Buffer {
  return randomBytes(bytes);
}
