import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { SharedLimits } from '@holdfast/queue';

/** Options of a process that shares limits or a schedule with others. */
export interface SharingOptions {
  readonly url: string;
  readonly directory: string;
  readonly topic: string;
  /** Absent: it handles no jobs. */
  readonly limits?: SharedLimits;
  readonly handlerMs?: number;
  readonly leaseMs?: number;
  /** Absent: it has no schedule. */
  readonly everyMs?: number;
}

/** What such a process tells. */
export type SharingReport =
  | { readonly kind: 'started' | 'ended'; readonly id: string; readonly atMs: number }
  | { readonly kind: 'ticked'; readonly id: string; readonly accepted: string };

export interface SharingProcess {
  readonly reports: SharingReport[];
  /** Sends SIGKILL; resolves once the process has exited. */
  kill(): Promise<void>;
}

/** Starts a process that shares limits or a schedule with others, until it is killed. */
export function runSharing(options: SharingOptions): SharingProcess {
  const child = fork(join(import.meta.dirname, 'sharing-main.ts'), [JSON.stringify(options)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  const reports: SharingReport[] = [];
  child.on('message', (said: SharingReport) => reports.push(said));
  return {
    reports,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
