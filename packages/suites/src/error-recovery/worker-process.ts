import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import type { SessionLog } from '@holdfast/publisher';
import type { WorkerProcessOptions } from './worker-main.ts';

/** How a process ended. */
interface ProcessEnding {
  readonly code: number | null;
  readonly signal: string | null;
  readonly atMs: number;
}

/** A worker that can be killed, and that has a heap of its own. */
export interface WorkerProcess {
  /** Resolves once it takes runs. */
  readonly opened: Promise<unknown>;
  readonly ended: Promise<ProcessEnding>;
  kill(): Promise<void>;
}

/** Starts a worker process. `onLog` gets its log, with the time of this process. */
export function startWorkerProcess(
  options: WorkerProcessOptions,
  onLog: (log: SessionLog, atMs: number) => void,
  maxHeapMib?: number,
): WorkerProcess {
  const heap = maxHeapMib === undefined ? [] : [`--max-old-space-size=${maxHeapMib}`];
  const main = join(import.meta.dirname, 'worker-main.ts');
  const child: ChildProcess = fork(main, [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning', ...heap],
    // A heap that is full prints pages of its own.
    stdio: ['ignore', 'ignore', maxHeapMib === undefined ? 'inherit' : 'ignore', 'ipc'],
  });
  const opened = Promise.withResolvers<void>();
  const ended = once(child, 'exit').then(([code, signal]) => ({
    code,
    signal,
    atMs: systemClock.now(),
  }));
  child.on('message', (message: SessionLog | 'open') => {
    if (message === 'open') opened.resolve();
    else onLog(message, systemClock.now());
  });
  return {
    opened: opened.promise,
    ended,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
