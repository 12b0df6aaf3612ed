import { execFile } from 'node:child_process';
import type { Availability } from './availability.ts';

/** Runs a program and resolves with a description of its failure; `undefined` when it succeeded. */
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

/** Needed to enter the network of another process. */
export const HAS_NSENTER: CommandCheck = {
  command: ['nsenter', '--version'],
  remedy: `Install it: 'apt-get install util-linux'`,
};

/** Needed to create a network. */
export const HAS_UNSHARE: CommandCheck = {
  command: ['unshare', '--version'],
  remedy: HAS_NSENTER.remedy,
};

/**
 * Runs the checks in their order, up to the first that fails.
 * @param failureOf runs a command and resolves with its failure.
 */
export async function runChecks(
  checks: readonly CommandCheck[],
  signal: AbortSignal | undefined,
  failureOf: typeof commandFailure = commandFailure,
): Promise<Availability> {
  for (const { command, remedy } of checks) {
    const [file, ...args] = command;
    const reason = await failureOf(file, args, signal);
    if (reason !== undefined) return { available: false, reason, remedy };
  }
  return { available: true };
}
