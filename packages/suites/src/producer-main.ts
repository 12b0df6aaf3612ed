/** A producer in a child process, so that it can be killed: `node producer-main.ts <options as JSON>`. */
import { createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import type { ProducerOptions } from './child.ts';

const options: ProducerOptions = JSON.parse(process.argv[2] ?? '');
const queue = createQueueAdapter({
  redis: { url: options.url },
  fallback: { journal: { directory: options.directory } },
  acknowledge: options.acknowledge ?? 'redis',
});
let next = options.from ?? 1;
const produce = async (): Promise<void> => {
  while (process.connected) {
    const job = next;
    next += 1;
    const { accepted } = await queue.enqueue(options.topic, job);
    if (process.connected) process.send?.({ job, accepted });
    if (options.pauseMs !== undefined) await sleep(systemClock, options.pauseMs);
  }
};
await Promise.all(Array.from({ length: options.inFlight ?? 1 }, produce));
await queue.close();
