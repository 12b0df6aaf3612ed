import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { createQueueAdapter } from '@holdfast/queue';

const { JOBS_DIRECTORY = 'jobs', REDIS_URL = 'redis://127.0.0.1:6379' } = process.env;

/** The queue as a provider. NestJS makes one for the whole application. */
@Injectable()
export class OrdersQueue implements OnModuleInit, OnApplicationShutdown {
  readonly #queue = createQueueAdapter({
    redis: { url: REDIS_URL },
    fallback: { journal: { directory: JOBS_DIRECTORY } },
  });

  get isHealthy(): boolean {
    return this.#queue.health().level !== 'critical';
  }

  async onModuleInit(): Promise<void> {
    await this.#queue.ready();
    this.#queue.process('orders', ({ id }) => console.log('handled', id));
  }

  async add(order: unknown): Promise<{ id: string; accepted: string }> {
    const { id, accepted } = await this.#queue.enqueue('orders', order);
    return { id, accepted };
  }

  /** Called after the server has answered its last request, unlike `onModuleDestroy`. */
  async onApplicationShutdown(): Promise<void> {
    await this.#queue.close();
    console.log('closed');
  }
}
