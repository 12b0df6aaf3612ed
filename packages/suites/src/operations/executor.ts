import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import type { ExecutorOptions, ExecutorReport } from './executor-main.ts';

/** A report, and when it came. */
interface Reported extends ExecutorReport {
  readonly atMs: number;
}

/** An executor in a process of its own. */
export interface ExecutorProcess {
  /** All that it has told so far. */
  readonly reports: readonly Reported[];
  /** Lets the run come to its effect. */
  allow(runId: string): void;
  freeze(): void;
  thaw(): void;
  /** Sends SIGKILL, and waits for its end. */
  kill(): Promise<void>;
}

export function startExecutor(options: ExecutorOptions): ExecutorProcess {
  const main = join(import.meta.dirname, 'executor-main.ts');
  const child: ChildProcess = fork(main, [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const reports: Reported[] = [];
  child.on('message', (message: ExecutorReport) =>
    reports.push({ ...message, atMs: systemClock.now() }),
  );
  return {
    reports,
    allow: (runId) => void child.send(runId),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
