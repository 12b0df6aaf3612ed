import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { environment, hideCredentials, onAbort } from '@holdfast/foundation';
import { BackupProgramError } from './errors.ts';

/** A program that runs. */
export interface RunningProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Settles at its end; rejects with a `BackupProgramError` unless it ended with 0. */
  readonly ended: Promise<void>;
}

/** How programs are started: by default as processes of this machine, found in PATH. */
export type StartProgram = (
  program: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => RunningProgram;

const KEPT_CHARACTERS = 2_000;

/** Starts it in a group of its own, all of which is killed when the signal aborts. */
export const startProgram: StartProgram = (program, args, { env, signal }) => {
  signal.throwIfAborted();
  const child = spawn(program, [...args], {
    detached: true,
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_CHARACTERS);
  });
  // What it does not read any more, it says by its exit.
  child.stdin.on('error', () => undefined);
  const release = onAbort(signal, () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  });
  const end = async (): Promise<void> => {
    try {
      const [code] = await once(child, 'close');
      signal.throwIfAborted();
      if (code === 0) return;
      const reason = hideCredentials(said.trim());
      throw new BackupProgramError(program, `ended with ${String(code)}: ${reason}`);
    } catch (error) {
      if (error instanceof BackupProgramError || signal.aborted) throw error;
      throw new BackupProgramError(program, 'was not started; is it in PATH?', error);
    } finally {
      release();
    }
  };
  const ended = end();
  ended.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, ended };
};
