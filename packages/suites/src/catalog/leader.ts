import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LeaderOptions, LeaderReport } from './leader-main.ts';

/** A leader in a process of its own. */
interface LeaderProcess {
  /** All that it has told so far. */
  readonly reports: LeaderReport[];
  stall(): void;
  thaw(): void;
  /** Lets it end its sync, and waits for its end. */
  close(): Promise<void>;
}

export function startLeader(options: LeaderOptions): LeaderProcess {
  const main = join(import.meta.dirname, 'leader-main.ts');
  const child = fork(main, [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const reports: LeaderReport[] = [];
  child.on('message', (message: LeaderReport) => reports.push(message));
  return {
    reports,
    stall: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async close() {
      const exited = once(child, 'exit');
      child.kill('SIGCONT');
      if (child.connected) child.send('end');
      await exited;
    },
  };
}
