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
 * A queue on a fake backend and a fake clock, in front of the given fallback.
 * @param server whose jobs and marks the backend finds; those of a server of its own otherwise.
 */
export function openTestQueue(
  options: Partial<QueueOptions> = {},
  server?: FakeBackend,
): TestQueue {
  const clock = createFakeClock();
  const backend = new FakeBackend(server);
  const settled = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    clock,
    random: seededRandom(1),
    ...options,
  });
  return { queue: new DurableQueue(backend, settled), backend, clock };
}
