import { Queue, type QueueOptions } from 'bullmq';
import type { JobData } from './job-data.ts';

/** What BullMQ is reached by. It is thrown away with each connection that was lost, and made anew. */
export class BullmqClients {
  readonly options: Pick<QueueOptions, 'connection' | 'prefix'>;
  #generation = 0;
  #queues = new Map<string, Queue<JobData>>();

  constructor(url: string, prefix: string) {
    this.options = { connection: { url, maxRetriesPerRequest: null }, prefix };
  }

  /** Rises with each lost connection. */
  get generation(): number {
    return this.#generation;
  }

  /** BullMQ's names have no colons. */
  nameOf(topic: string): string {
    return topic.replaceAll(':', '%3A');
  }

  queue(topic: string): Queue<JobData> {
    const known = this.#queues.get(topic);
    if (known !== undefined) return known;
    const queue = new Queue<JobData>(this.nameOf(topic), this.options);
    queue.on('error', () => undefined);
    this.#queues.set(topic, queue);
    return queue;
  }

  /** What is on its way on it may still arrive; nobody waits for it. */
  async renew(): Promise<void> {
    const queues = [...this.#queues.values()];
    this.#queues = new Map();
    this.#generation += 1;
    await Promise.allSettled(queues.map((queue) => queue.disconnect()));
  }
}
