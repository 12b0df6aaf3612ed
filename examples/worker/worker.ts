import { createQueueAdapter } from '@holdfast/queue';

const { REDIS_URL = 'redis://127.0.0.1:6379' } = process.env;

/** How long a handler may take at the end of the process; shorter than the grace of whoever sends SIGTERM. */
const DEADLINE_MS = 20_000;

// It accepts no jobs, so it needs no journal.
const queue = createQueueAdapter({ redis: { url: REDIS_URL } });

queue.process(
  'reports',
  async ({ id, payload, attempt }, { signal }) => {
    const steps = Number(Object(payload).steps);
    console.log('started', id, attempt);
    for (let step = 0; step < steps; step += 1) {
      // The lease was lost, or the deadline of `close` has passed: another process gets the job.
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    console.log('handled', id);
  },
  { concurrency: 4, maxAttempts: 5, leaseMs: 10_000 },
);

queue.on('consumer-stalled', ({ topic, error }) => console.log('stalled', topic, error));
queue.on('consumer-resumed', ({ topic }) => console.log('resumed', topic));
queue.on('dead-lettered', ({ id, reason }) => console.log('dead', id, reason));

await queue.ready();
console.log('ready');

process.once('SIGTERM', async () => {
  // Takes no further jobs, waits for those that run, and acknowledges them.
  await queue.close({ deadlineMs: DEADLINE_MS });
  process.exit();
});
