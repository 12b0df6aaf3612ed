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
export interface CommandCheck {
  readonly command: readonly [string, ...string[]];
  readonly remedy: string;
}

/** For whoever enters the network of another process. */
export const HAS_NSENTER: CommandCheck = {
  command: ['nsenter', '--version'],
  remedy: `Install it: 'apt-get install util-linux'`,
};

/** For whoever makes a network that nobody uses, or one for a server. */
export const HAS_UNSHARE: CommandCheck = {
  command: ['unshare', '--version'],
  remedy: HAS_NSENTER.remedy,
};

/**
 * The first check that fails: how, and what to do; `undefined` when all succeed.
 * @param failureOf runs a command and says how it failed.
 */
export async function firstFailedCheck(
  checks: readonly CommandCheck[],
  signal: AbortSignal | undefined,
  failureOf: typeof commandFailure = commandFailure,
): Promise<{ reason: string; remedy: string } | undefined> {
  for (const { command, remedy } of checks) {
    const [file, ...args] = command;
    const reason = await failureOf(file, args, signal);
    if (reason !== undefined) return { reason, remedy };
  }
  return undefined;
}
