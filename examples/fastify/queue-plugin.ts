import type { FastifyInstance } from 'fastify';
import { type Queue, createQueueAdapter } from '@holdfast/queue';

declare module 'fastify' {
  interface FastifyInstance {
    queue: Queue;
  }
}

/** Adds `app.queue`, and closes it after the server has answered its last request. */
export async function addQueue(
  app: FastifyInstance,
  options: { redisUrl: string; directory: string },
): Promise<void> {
  const queue = createQueueAdapter({
    redis: { url: options.redisUrl },
    fallback: { journal: { directory: options.directory } },
  });
  app.decorate('queue', queue);
  app.addHook('onClose', () => queue.close());
  await queue.ready();
}
