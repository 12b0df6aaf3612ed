/** A producer in a process of its own, so that it can be killed: `node producer-main.ts <order as JSON>`. */
import { createQueueAdapter } from '@holdfast/queue';
import type { ProducerOrder } from './child.ts';

const order: ProducerOrder = JSON.parse(process.argv[2] ?? '');
const queue = createQueueAdapter({
  redis: { url: order.url },
  fallback: { journal: { directory: order.directory } },
});
for (let job = 1; process.connected; job += 1) {
  const { accepted } = await queue.enqueue(order.topic, job);
  process.send?.({ job, accepted });
}
await queue.close();
