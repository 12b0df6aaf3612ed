import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '@holdfast/foundation';
import type { SessionLog } from '@holdfast/publisher';
import type { DieAfter, WorkerProcessOptions } from './worker-main.ts';

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
  /** Resolves once it knows that it is to end itself after that stage. */
  dieAfter(stage: string): Promise<void>;
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
  const armed = Promise.withResolvers<void>();
  child.on('message', (message: SessionLog | 'open' | 'armed') => {
    if (message === 'open') opened.resolve();
    else if (message === 'armed') armed.resolve();
    else onLog(message, systemClock.now());
  });
  return {
    opened: opened.promise,
    ended,
    async dieAfter(stage) {
      const order: DieAfter = { dieAfter: stage };
      child.send(order);
      await armed.promise;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
