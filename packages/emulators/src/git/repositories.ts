import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from './cgi.ts';

const run = promisify(execFile);

/** The environment variable with the message of a declined push, for the hook below. */
export const REJECTION_VARIABLE = 'HOLDFAST_REJECTION';
const REJECTING_HOOK = `#!/bin/sh
cat >/dev/null
printf '%s\\n' "$${REJECTION_VARIABLE}" >&2
exit 1
`;

/** The directory of a repository, as in its URL. */
function repositoryFolder(root: string, name: string): string {
  return join(root, `${name}.git`);
}

/** Creates the bare repositories that are missing, each atomically. */
export async function ensureRepositories(root: string, names: readonly string[]): Promise<void> {
  const options = { env: gitEnvironment(root) };
  for (const name of names) {
    const folder = repositoryFolder(root, name);
    if (await exists(folder)) continue;
    const fresh = `${folder}.fresh`;
    await rm(fresh, { recursive: true, force: true });
    await mkdir(dirname(fresh), { recursive: true });
    await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', fresh], options);
    await run('git', ['-C', fresh, 'config', 'http.receivepack', 'true'], options);
    await rename(fresh, folder);
  }
}

/** The errors that `git fsck` finds in a repository; empty for an intact one. */
export async function checkRepository(root: string, name: string): Promise<string> {
  const args = ['-C', repositoryFolder(root, name), 'fsck', '--full', '--strict', '--no-dangling'];
  try {
    await run('git', args, { env: gitEnvironment(root) });
    return '';
  } catch (error) {
    const output =
      typeof error === 'object' && error !== null && 'stderr' in error ? error.stderr : error;
    return String(output).trim();
  }
}

/** Creates a hook that declines every push; resolves with its directory. */
export async function makeRejectingHooks(root: string): Promise<string> {
  const folder = join(root, 'rejecting-hooks');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'pre-receive'), REJECTING_HOOK, { mode: 0o755 });
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
