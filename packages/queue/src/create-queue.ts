import type { QueueBackend } from './backend.ts';
import { DurableQueue } from './durable-queue.ts';
import { type QueueOptions, parseQueueOptions } from './options.ts';
import type { Queue } from './queue.ts';
import type { Topics } from './producer/topics.ts';
import { createRedisBackend } from './redis/backend.ts';

/**
 * Creates a queue on Redis that keeps accepting jobs while Redis is down.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createQueueAdapter<const T extends Topics = Topics>(
  options: QueueOptions<T>,
): Queue<T>;
export function createQueueAdapter(options: QueueOptions): Queue {
  return new DurableQueue(createRedisBackend(options), parseQueueOptions(options));
}

/**
 * Creates the same queue on another store, such as `createMemoryBackend()`. Closing the queue closes the store.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createQueueOn<const T extends Topics = Topics>(
  backend: QueueBackend,
  options?: Omit<QueueOptions<T>, 'redis'>,
): Queue<T>;
export function createQueueOn(
  backend: QueueBackend,
  options: Omit<QueueOptions, 'redis'> = {},
): Queue {
  // The placeholder URL lets one set of rules check all other options.
  return new DurableQueue(
    backend,
    parseQueueOptions({ ...options, redis: { url: 'redis://unused' } }),
  );
}
