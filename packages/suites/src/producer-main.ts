/** A producer in a process of its own, so that it can be killed: `node producer-main.ts <order as JSON>`. */
import { createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import type { ProducerOptions } from './child.ts';

const order: ProducerOptions = JSON.parse(process.argv[2] ?? '');
const queue = createQueueAdapter({
  redis: { url: order.url },
  fallback: { journal: { directory: order.directory } },
  acknowledge: order.acknowledge ?? 'redis',
});
let next = order.from ?? 1;
const produce = async (): Promise<void> => {
  while (process.connected) {
    const job = next;
    next += 1;
    const { accepted } = await queue.enqueue(order.topic, job);
    if (process.connected) process.send?.({ job, accepted });
    if (order.pauseMs !== undefined) await sleep(systemClock, order.pauseMs);
  }
};
await Promise.all(Array.from({ length: order.inFlight ?? 1 }, produce));
await queue.close();
