import { createFakeClock, type FakeClock } from '@holdfast/foundation/testing';
import { seededRandom } from '@holdfast/foundation';
import { DurableQueue } from '../src/durable-queue.ts';
import { type QueueOptions, parseQueueOptions } from '../src/options.ts';
import { FakeBackend } from './fake/fake-backend.ts';

export interface TestQueue {
  readonly queue: DurableQueue;
  readonly backend: FakeBackend;
  readonly clock: FakeClock;
}

/**
 * Opens a queue on a fake backend and a fake clock, with the given fallback.
 * @param server another backend whose server this one shares; default: a server of its own.
 */
export function openTestQueue(
  options: Partial<QueueOptions> = {},
  server?: FakeBackend,
): TestQueue {
  const clock = createFakeClock();
  const backend = new FakeBackend(server);
  const resolved = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    clock,
    random: seededRandom(1),
    ...options,
  });
  return { queue: new DurableQueue(backend, resolved), backend, clock };
}
