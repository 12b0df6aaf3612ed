import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath, isExecutable } from '../../system/path.ts';
import { locateNode } from './emulated-server.ts';
import type { Environment, Executable } from '../../topology/server-spec.ts';
import { GitNotFoundError } from '../../errors.ts';

/**
 * Node, once it is sure that it will find git on PATH, and git its backend for HTTP.
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
