import { Queue, type QueueOptions } from 'bullmq';
import type { JobData } from './job-data.ts';

/** The BullMQ queues of one connection. They are replaced after each lost connection. */
export class BullmqClients {
  readonly options: Pick<QueueOptions, 'connection' | 'prefix'>;
  #generation = 0;
  #queues = new Map<string, Queue<JobData>>();

  constructor(url: string, prefix: string) {
    this.options = { connection: { url, maxRetriesPerRequest: null }, prefix };
  }

  /** Increases with each lost connection. */
  get generation(): number {
    return this.#generation;
  }

  /** BullMQ's queue names may not contain colons. */
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

  /** Disconnects all queues. Commands in transit may still be executed; their replies are ignored. */
  async replace(): Promise<void> {
    const queues = [...this.#queues.values()];
    this.#queues = new Map();
    this.#generation += 1;
    await Promise.allSettled(queues.map((queue) => queue.disconnect()));
  }
}
