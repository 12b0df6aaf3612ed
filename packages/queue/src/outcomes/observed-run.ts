import type { Clock } from '@holdfast/foundation';
import type { Job, RunningJob } from '../queue.ts';
import type { OutcomeKeeper } from './outcome-keeper.ts';
import type { OutcomeStore } from './outcome-store.ts';
import type { QueueTracing } from '../tracing/tracing.ts';
import { ProgressReporter, reporting } from './progress.ts';

interface ObserverDeps {
  readonly topic: string;
  /** Absent: the store keeps neither outcomes nor progress. */
  readonly store: OutcomeStore | undefined;
  readonly clock: Clock;
  /** How long progress is kept. */
  readonly ttlMs: number;
  /** Absent: results are not kept. */
  readonly keeper: OutcomeKeeper | undefined;
  readonly tracing: QueueTracing | undefined;
}

/** Runs a handler on a job, and sees what it reports and returns. */
export type ObserveRun = (
  job: Job,
  execution: { readonly signal: AbortSignal },
  run: (job: RunningJob) => unknown,
) => Promise<void>;

/** Lets handlers report their progress, and keeps what they return. */
export function createObserver({ keeper, tracing, ...deps }: ObserverDeps): ObserveRun {
  return async (job, execution, run) => {
    const reporter = new ProgressReporter(deps, job.id, () => execution.signal);
    try {
      const running = reporting(job, reporter);
      const value =
        tracing === undefined
          ? await run(running)
          : await tracing.handle(job, async () => run(running));
      if (keeper !== undefined) await keeper.returned(job, value);
    } finally {
      reporter.end();
    }
  };
}
