import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { environment } from '@holdfast/foundation';

const execute = promisify(execFile);

/** What somebody else does with the remote, by git itself and beside all faults. */
export class GitSide {
  readonly #url: string;

  /** @param url with a credential, where the remote asks for one */
  constructor(url: string) {
    this.#url = url;
  }

  /** Commits files to a branch, which is made from `main` when it is missing. */
  async push(
    branch: string,
    files: Readonly<Record<string, string>>,
    message = 'from elsewhere',
  ): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-elsewhere-'));
    try {
      await git(directory, 'init', '--quiet', '--initial-branch=work');
      const heads = await this.heads();
      const start = heads.get(branch) ?? heads.get('main');
      if (start !== undefined) {
        await git(directory, 'fetch', '--quiet', this.#url, start);
        await git(directory, 'checkout', '--quiet', '--detach', start);
      }
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(directory, path)), { recursive: true });
        await writeFile(join(directory, path), content);
      }
      await git(directory, 'add', '--all', '.');
      await git(directory, 'commit', '--quiet', '--message', message);
      await git(directory, 'push', '--quiet', this.#url, `HEAD:refs/heads/${branch}`);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** The branches and their commits. */
  async heads(): Promise<ReadonlyMap<string, string>> {
    const text = await git(tmpdir(), 'ls-remote', '--heads', this.#url);
    const lines = text === '' ? [] : text.split('\n');
    return new Map(
      lines.map((line) => {
        const [commit = '', ref = ''] = line.split('\t');
        return [ref.replace('refs/heads/', ''), commit];
      }),
    );
  }

  /** The subjects of the commits of a branch, the newest first; none when it is missing. */
  async commits(branch: string): Promise<readonly string[]> {
    if (!(await this.heads()).has(branch)) return [];
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-elsewhere-'));
    try {
      await git(directory, 'init', '--quiet', '--bare');
      await git(directory, 'fetch', '--quiet', this.#url, branch);
      const text = await git(directory, 'log', '--format=%s', 'FETCH_HEAD');
      return text.split('\n');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute('git', args, {
    cwd: directory,
    env: {
      PATH: environment['PATH'] ?? '',
      HOME: directory,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: 'Elsewhere',
      GIT_AUTHOR_EMAIL: 'elsewhere@localhost',
      GIT_COMMITTER_NAME: 'Elsewhere',
      GIT_COMMITTER_EMAIL: 'elsewhere@localhost',
    },
  });
  return stdout.trim();
}
