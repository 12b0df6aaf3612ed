import type { Job } from '../queue.ts';

/** A handler that collects the jobs, and a promise for their number. */
export function collect(): {
  jobs: Job[];
  take: (job: Job) => void;
  reached: (n: number) => Promise<void>;
} {
  const jobs: Job[] = [];
  let onJob: (() => void) | undefined;
  return {
    jobs,
    take(job) {
      jobs.push(job);
      onJob?.();
    },
    async reached(count) {
      while (jobs.length < count) {
        await new Promise<void>((resolve) => {
          onJob = resolve;
        });
      }
    },
  };
}
