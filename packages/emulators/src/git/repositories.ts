import { execFile } from 'node:child_process';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from './cgi.ts';

const run = promisify(execFile);

/** What names the message of a push that is declined, for the hook below. */
export const REJECTION_VARIABLE = 'HOLDFAST_REJECTION';
const REJECTING_HOOK = `#!/bin/sh
cat >/dev/null
printf '%s\\n' "$${REJECTION_VARIABLE}" >&2
exit 1
`;

/** The folder of a repository, as its URL names it. */
function repositoryFolder(root: string, name: string): string {
  return join(root, `${name}.git`);
}

/** Makes bare repositories for those that are not there yet; each is there whole or not at all. */
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

/** What git finds wrong with a repository; empty when it is whole. */
export async function checkRepository(root: string, name: string): Promise<string> {
  const args = ['-C', repositoryFolder(root, name), 'fsck', '--full', '--strict', '--no-dangling'];
  try {
    await run('git', args, { env: gitEnvironment(root) });
    return '';
  } catch (error) {
    const said =
      typeof error === 'object' && error !== null && 'stderr' in error ? error.stderr : error;
    return String(said).trim();
  }
}

/** Makes the hook that declines every push; resolves with the folder it lies in. */
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
