import { afterEach, expect } from '@jest/globals';
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
  clock: FakeClock = createFakeClock(),
): TestQueue {
  const backend = new FakeBackend(server, options.clock ?? clock);
  const resolved = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    clock,
    random: seededRandom(1),
    ...options,
  });
  return { queue: new DurableQueue(backend, resolved), backend, clock };
}

/** Opens queues whose Redis is up, for the tests of a file: each is closed after its test, and leaves no timer. */
export function upQueues(): () => Promise<TestQueue> {
  const opened: TestQueue[] = [];
  afterEach(async () => {
    for (const { queue, clock } of opened.splice(0)) {
      await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
      expect(clock.pendingTimers).toBe(0);
    }
  });
  return async () => {
    const opening = openTestQueue();
    opened.push(opening);
    opening.backend.up();
    await opening.queue.ready();
    return opening;
  };
}
