import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GitNotFoundError } from '../../errors.ts';
import type { Environment, Executable } from '../../system/executable.ts';
import { findOnPath, isExecutable } from '../../system/path.ts';
import { locateNode } from './node-server.ts';

/**
 * Node, after checking that git is on PATH and has its backend for HTTP.
 * @throws GitNotFoundError
 */
export async function locateGit(env: Environment): Promise<Executable> {
  const git = await findOnPath('git', env['PATH'] ?? '');
  if (git === undefined) throw new GitNotFoundError('there is no git on PATH');
  const { stdout } = await promisify(execFile)(git, ['--exec-path']);
  const backend = join(stdout.trim(), 'git-http-backend');
  if (await isExecutable(backend)) return locateNode();
  throw new GitNotFoundError(`${git} has no git-http-backend in ${stdout.trim()}`);
}
