import type { Job, Queue } from '../queue.ts';

/** Long enough for a consumer to take what it must not take. */
const A_WHILE_MS = 400;

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

/** Resolves when jobs of another topic, enqueued now, have been handled after a while. */
export async function aWhile(queue: Queue): Promise<void> {
  const { take, reached } = collect();
  const consumer = queue.process('a-while', take);
  await queue.enqueue('a-while', 1, { delayMs: A_WHILE_MS });
  await reached(1);
  await consumer.close();
}
