/** The queue of Holdfast as a module that is scored. */
import { createQueueAdapter } from '@holdfast/queue';

const TOPIC = 'scored';

export default async function open({ url, directory }) {
  const queue = createQueueAdapter({ redis: { url }, fallback: { journal: { directory } } });
  await queue.ready();
  return {
    add: (job) => queue.enqueue(TOPIC, job),
    work: (handler) => queue.process(TOPIC, ({ payload }) => handler(payload), { concurrency: 1 }),
    close: () => queue.close({ deadlineMs: 1_000 }),
  };
}
