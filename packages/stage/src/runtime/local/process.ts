import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { type Clock, sleep } from '@holdfast/foundation';
import { type ProcessRecord, readProcess } from '../../system/process-table.ts';
import {
  type TreeMember,
  freezeTree,
  isAlive,
  killTree,
  thawTree,
} from '../../system/process-tree.ts';
import type { ServerInstance } from '../../handle/server.ts';
import type { Executable } from '../../topology/server-spec.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

export interface ProcessOptions {
  readonly program: Executable;
  readonly args: readonly string[];
  /** Where it runs. */
  readonly directory: string;
  /** Where what it prints is appended. */
  readonly log: string;
  /** What asks it to end in an orderly way. */
  readonly stopSignal: NodeJS.Signals;
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  /** Is told its number as soon as there is one. */
  readonly onPid: (pid: number) => Promise<void>;
}

/** How often the process table is read while a signal is to take effect. */
const POLL_MS = 1;

/** Starts a program as one life of a server. A program that cannot be started has ended at once. */
export async function launchProcess(options: ProcessOptions): Promise<ServerInstance> {
  const { program, args, directory, clock, watchdog } = options;
  const log = await open(options.log, 'a');
  try {
    const child = spawn(program.file, args, {
      cwd: directory,
      env: { ...process.env, ...program.env },
      ...program.user,
      // A session of its own: Ctrl-C in the terminal is for the runner; a server dies by its verbs.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const { pid } = child;
    const readRecord = (): ProcessRecord | undefined =>
      pid === undefined ? undefined : readProcess(pid);
    const birth = readRecord()?.startTime;
    const release =
      pid === undefined || birth === undefined
        ? undefined
        : watchdog.guard({ type: 'process', pid, birth });
    // Whoever waits for it holds the process open by the timer of his deadline.
    child.unref();
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        resolve(`${program.file}: ${error.code}`);
      });
      child.once('exit', (code, signal) => {
        release?.();
        resolve(signal === null ? `exit code ${code}` : signal);
      });
    });
    if (pid !== undefined) {
      await options.onPid(pid).catch((error: unknown) => {
        // One that has ended already tells so by its end.
        if (readRecord()?.startTime !== birth) return;
        killTree(pid);
        throw error;
      });
    }
    const untilFrozenIs = async (
      frozen: boolean,
      tree: readonly TreeMember[],
      signal: AbortSignal,
    ): Promise<void> => {
      // A process that has ended is waited for no longer.
      const lags = (each: TreeMember): boolean =>
        isAlive(each) && readProcess(each.pid)?.frozen === !frozen;
      while (tree.some(lags)) await sleep(clock, POLL_MS, signal);
    };
    return {
      ended,
      async terminate() {
        child.kill(options.stopSignal);
      },
      async kill(signal) {
        if (pid === undefined || readRecord()?.startTime !== birth) return;
        const tree = killTree(pid);
        while (tree.some(isAlive)) await sleep(clock, POLL_MS, signal);
      },
      async freeze(signal) {
        if (pid !== undefined) await untilFrozenIs(true, freezeTree(pid), signal);
      },
      async thaw(signal) {
        if (pid !== undefined) await untilFrozenIs(false, thawTree(pid), signal);
      },
    };
  } finally {
    await log.close();
  }
}
