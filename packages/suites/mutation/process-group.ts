import { spawn } from 'node:child_process';

/** How a run of Node ended; `hung` when it was ended at its limit. */
export type Outcome = 'passed' | 'failed' | 'hung';

interface RunOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** The longest the run may take, in milliseconds. */
  readonly withinMs: number;
}

const running = new Set<number>();

/**
 * Runs Node as the leader of a process group of its own. When the leader ends or its time is over, the whole group
 * is ended: a process that a test started and left behind does not outlive the run.
 */
export function runInGroup(
  args: readonly string[],
  { cwd, env, withinMs }: RunOptions,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: 'ignore' });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      endGroup(pid);
    }, withinMs);
    const end = (): void => {
      clearTimeout(timer);
      endGroup(pid);
      if (pid !== undefined) running.delete(pid);
    };
    child.once('error', (error) => {
      end();
      reject(error);
    });
    child.once('exit', (status) => {
      end();
      if (isOver) resolve('hung');
      else resolve(status === 0 ? 'passed' : 'failed');
    });
  });
}

/** Ends every group that runs when this process ends, by itself or by a signal. */
export function endGroupsAtExit(): void {
  process.once('exit', () => {
    for (const pid of running) endGroup(pid);
  });
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(status));
  }
}

function endGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    // Nothing of the group is left.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
