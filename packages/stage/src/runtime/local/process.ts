import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { type Clock, environment, sleep, withDeadline } from '@holdfast/foundation';
import type { ServerInstance } from '../../handle/driver.ts';
import type { Executable } from '../../system/executable.ts';
import { readProcess } from '../../system/process-table.ts';
import {
  type TreeMember,
  freezeTree,
  isAlive,
  killTree,
  killWorkingIn,
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
/** How long the end of what a process has left behind is waited for. */
const LEFT_TIMEOUT_MS = 5_000;

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
        const end = signal === null ? `exit code ${code}` : signal;
        void endLeft(directory, clock).then((failure) => {
          release?.();
          resolve(`${end}${failure}`);
        });
      });
    });
    if (pid !== undefined) {
      await options.onPid(pid).catch(async (error: unknown) => {
        // One that has ended already is reported by `ended`.
        if (startTimeNow() !== startTime) return;
        await killTree(pid, () => sleep(clock, POLL_MS));
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
        await killTree(pid, () => sleep(clock, POLL_MS, signal));
      },
      async freeze(signal) {
        if (pid !== undefined) await freezeTree(pid, () => sleep(clock, POLL_MS, signal));
      },
      async thaw(signal) {
        if (pid !== undefined) await waitUntilThawed(thawTree(pid), clock, signal);
      },
    };
  } finally {
    await log.close();
  }
}

/**
 * Ends the processes that a server has left in its folder. Resolves with what could not be ended, as the end of
 * a sentence; never rejects.
 */
async function endLeft(directory: string, clock: Clock): Promise<string> {
  const late = (): Error => new Error(`still there after ${LEFT_TIMEOUT_MS} ms`);
  try {
    await withDeadline(clock, LEFT_TIMEOUT_MS, undefined, late, (limit) =>
      killWorkingIn(directory, () => sleep(clock, POLL_MS, limit)),
    );
    return '';
  } catch (error) {
    return `, and what it has started could not be ended: ${String(error)}`;
  }
}

/** Waits until no process that still runs is frozen. */
async function waitUntilThawed(
  tree: readonly TreeMember[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const isPending = (each: TreeMember): boolean =>
    isAlive(each) && readProcess(each.pid)?.frozen === true;
  while (tree.some(isPending)) await sleep(clock, POLL_MS, signal);
}
