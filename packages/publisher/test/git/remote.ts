import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { GitWorkspace } from '../../src/git/git-workspace.ts';

const execute = promisify(execFile);
const ENV = {
  PATH: process.env['PATH'] ?? '',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Other',
  GIT_AUTHOR_EMAIL: 'other@localhost',
  GIT_COMMITTER_NAME: 'Other',
  GIT_COMMITTER_EMAIL: 'other@localhost',
};

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A directory that is removed after the test. */
export async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-publisher-'));
  cleanUps.push(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

export async function plainGit(directory: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute('git', args, { cwd: directory, env: ENV });
  return stdout.trim();
}

/** A bare repository on this disk, whose branch main has one commit with these files. */
export async function bareRemote(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporary();
  const url = join(root, 'site.git');
  await plainGit(root, 'init', '--quiet', '--bare', '--initial-branch=main', url);
  await pushDirectly(url, 'main', files);
  return url;
}

/** Commits files to a branch beside all workspaces. */
export async function pushDirectly(
  url: string,
  branch: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const clone = await temporary();
  await plainGit(clone, 'clone', '--quiet', url, 'clone');
  const directory = join(clone, 'clone');
  const remote = await plainGit(directory, 'ls-remote', 'origin', branch);
  if (remote !== '')
    await plainGit(directory, 'checkout', '--quiet', '-B', branch, `origin/${branch}`);
  else await plainGit(directory, 'checkout', '--quiet', '-B', branch);
  for (const [path, content] of Object.entries(files)) {
    await writeFile(join(directory, path), content);
  }
  await plainGit(directory, 'add', '.');
  await plainGit(directory, 'commit', '--quiet', '-m', 'from elsewhere');
  await plainGit(directory, 'push', '--quiet', 'origin', branch);
}

/** A workspace whose remote is a bare repository: asked by git itself where others are asked over HTTP. */
export class LocalWorkspace extends GitWorkspace {
  override async probe(): ReturnType<GitWorkspace['probe']> {
    const listed = await plainGit(this.directory, 'ls-remote', this.url);
    const lines = listed === '' ? [] : listed.split('\n');
    const refs = lines.map((line) => line.split('\t').toReversed());
    return {
      kind: 'reachable',
      refs: new Map(refs.map(([name = '', commit = '']) => [name, commit])),
    };
  }
}

/** An opened clone. */
export async function workspaceOf(url: string): Promise<LocalWorkspace> {
  const workspace = new LocalWorkspace({
    directory: join(await temporary(), 'clone'),
    url,
    credential: () => undefined,
    author: { name: 'Holdfast', email: 'holdfast@localhost' },
    clock: systemClock,
    timeoutMs: 30_000,
    probeTimeoutMs: 5_000,
    staleLockMs: 0,
  });
  await workspace.open();
  return workspace;
}

/** An HTTP server that is closed after the test. */
export async function httpServer(
  respond: (message: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server: Server = createServer(respond);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${Object(address).port}`;
}
