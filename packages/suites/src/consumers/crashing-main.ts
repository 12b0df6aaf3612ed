/** A consumer whose handler ends its process: `node crashing-main.ts <options as JSON>`. */
import { createQueueAdapter, createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import type { CrashingConsumerOptions } from '../child.ts';

const options: CrashingConsumerOptions = JSON.parse(process.argv[2] ?? '');
const redis = { url: options.url };
const queue =
  options.store === 'bullmq'
    ? createQueueOn(createBullmqBackend({ redis }))
    : createQueueAdapter({ redis });
queue.process(
  options.topic,
  ({ id, payload, attempt }) => {
    if (payload === 'exit') process.exit(1);
    if (payload === 'abort') process.abort();
    if (payload === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
    if (payload === 'fail, then exit') {
      if (attempt > 1) process.exit(1);
      throw new Error('the first attempt');
    }
    process.send?.(id);
  },
  { leaseMs: options.leaseMs, retryDelayMs: 1, ...options.process },
);
process.once('disconnect', () => void queue.close());
