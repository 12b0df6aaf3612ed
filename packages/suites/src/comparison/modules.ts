import { createQueueAdapter } from '@holdfast/queue';
import { Queue, Worker } from 'bullmq';
import type { QueueModule } from './queue-module.ts';

const TOPIC = 'scored';

/** Holdfast with its default options and a journal. */
export const holdfast: QueueModule = {
  name: 'Holdfast',
  async open({ host, port, directory }) {
    const queue = createQueueAdapter({
      redis: { url: `redis://${host}:${port}` },
      fallback: { journal: { directory } },
    });
    await queue.ready();
    return {
      add: (job) => queue.enqueue(TOPIC, job),
      work(handler) {
        queue.process(TOPIC, ({ payload }) => handler(Number(payload)), { concurrency: 1 });
      },
      close: () => queue.close({ deadlineMs: 1_000 }),
    };
  },
};

/** BullMQ with its default options. */
export const bullmq: QueueModule = {
  name: 'BullMQ',
  async open({ host, port }) {
    const connection = { host, port };
    const queue = new Queue<number>(TOPIC, { connection });
    queue.on('error', () => undefined);
    await queue.waitUntilReady();
    const workers: Worker[] = [];
    return {
      add: (job) => queue.add('job', job),
      work(handler) {
        const worker = new Worker<number>(TOPIC, async ({ data }) => handler(data), { connection });
        worker.on('error', () => undefined);
        workers.push(worker);
      },
      close: () => Promise.all([queue.close(), ...workers.map((worker) => worker.close(true))]),
    };
  },
};
