import { execFile } from 'node:child_process';

/** How a program of this machine failed, in words; `undefined` when it ended well. */
export function commandFailure(
  file: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(file, args, { encoding: 'utf8', signal }, (failure, _, stderr) => {
      if (failure === null) resolve(undefined);
      else if (failure.code === 'ENOENT') resolve(`${file} is not on PATH`);
      else resolve(`'${file}' ended with ${failure.code}: ${stderr.trim().replace(/\.$/, '')}`);
    });
  });
}

/** A command that has to succeed, and what to do where it does not. */
export interface Check {
  readonly command: readonly [string, ...string[]];
  readonly wayOut: string;
}

/** For whoever enters the network of another process. */
export const HAS_NSENTER: Check = {
  command: ['nsenter', '--version'],
  wayOut: `Install it: 'apt-get install util-linux'`,
};

/** For whoever makes a network that nobody uses, or one for a server. */
export const HAS_UNSHARE: Check = {
  command: ['unshare', '--version'],
  wayOut: HAS_NSENTER.wayOut,
};

/**
 * The first check that fails: how, and what to do; `undefined` when all succeed.
 * @param failureOf runs a command and says how it failed.
 */
export async function firstObstacle(
  checks: readonly Check[],
  signal: AbortSignal | undefined,
  failureOf: typeof commandFailure = commandFailure,
): Promise<{ why: string; wayOut: string } | undefined> {
  for (const { command, wayOut } of checks) {
    const [file, ...args] = command;
    const why = await failureOf(file, args, signal);
    if (why !== undefined) return { why, wayOut };
  }
  return undefined;
}
