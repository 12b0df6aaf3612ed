import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { type Clock, environment, sleep } from '@holdfast/foundation';
import type { ServerInstance } from '../../handle/driver.ts';
import type { Executable } from '../../system/executable.ts';
import { readProcess } from '../../system/process-table.ts';
import {
  type TreeMember,
  freezeTree,
  isAlive,
  killTree,
  thawTree,
} from '../../system/process-tree.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

interface LaunchOptions {
  readonly executable: Executable;
  readonly args: readonly string[];
  /** Its working directory. */
  readonly directory: string;
  /** The file to which its output is appended. */
  readonly log: string;
  /** The signal that shuts it down. */
  readonly stopSignal: NodeJS.Signals;
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  /** Called with its process id as soon as there is one. */
  readonly onPid: (pid: number) => Promise<void>;
}

/** How often the process table is read until a signal has taken effect. */
const POLL_MS = 1;

/** Starts an executable as one instance of a server. One that cannot be started has ended at once. */
export async function launchProcess(options: LaunchOptions): Promise<ServerInstance> {
  const { executable, args, directory, clock, watchdog } = options;
  const log = await open(options.log, 'a');
  try {
    const child = spawn(executable.file, args, {
      cwd: directory,
      env: { ...environment, ...executable.env },
      ...executable.user,
      // In a session of its own, so that Ctrl-C in the terminal ends the test runner alone.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const { pid } = child;
    const startTimeNow = (): string | undefined =>
      pid === undefined ? undefined : readProcess(pid)?.startTime;
    const startTime = startTimeNow();
    const release =
      pid === undefined || startTime === undefined
        ? undefined
        : watchdog.guard({ kind: 'process', pid, startTime });
    // A caller that waits for it keeps this process alive by the timer of its deadline.
    child.unref();
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        resolve(`${executable.file}: ${error.code}`);
      });
      child.once('exit', (code, signal) => {
        release?.();
        resolve(signal === null ? `exit code ${code}` : signal);
      });
    });
    if (pid !== undefined) {
      await options.onPid(pid).catch((error: unknown) => {
        // One that has ended already is reported by `ended`.
        if (startTimeNow() !== startTime) return;
        killTree(pid);
        throw error;
      });
    }
    return {
      ended,
      async terminate() {
        child.kill(options.stopSignal);
      },
      async kill(signal) {
        if (pid === undefined || startTimeNow() !== startTime) return;
        const tree = killTree(pid);
        while (tree.some(isAlive)) await sleep(clock, POLL_MS, signal);
      },
      async freeze(signal) {
        if (pid !== undefined) await waitUntilFrozen(true, freezeTree(pid), clock, signal);
      },
      async thaw(signal) {
        if (pid !== undefined) await waitUntilFrozen(false, thawTree(pid), clock, signal);
      },
    };
  } finally {
    await log.close();
  }
}

/** Waits until all processes that still run are frozen, or none is. */
async function waitUntilFrozen(
  frozen: boolean,
  tree: readonly TreeMember[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const isPending = (each: TreeMember): boolean =>
    isAlive(each) && readProcess(each.pid)?.frozen === !frozen;
  while (tree.some(isPending)) await sleep(clock, POLL_MS, signal);
}
