import { expect, test } from '@jest/globals';
import { type QueueBackend, createMemoryBackend } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import { createRedisBackend } from '@holdfast/queue/contract';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC } from '../../../src/outage.ts';

const BOUND = 4;
const LEASE_MS = 30_000;

const stores: readonly [string, (url: string) => QueueBackend][] = [
  ['Redis', (url) => createRedisBackend({ redis: { url }, maxDeadLetters: BOUND })],
  ['BullMQ', (url) => createBullmqBackend({ redis: { url }, maxDeadLetters: BOUND })],
  ['memory', () => createMemoryBackend({ maxDeadLetters: BOUND })],
];

/** Publishes the jobs of these numbers, and buries each. */
async function bury(backend: QueueBackend, numbers: readonly number[]): Promise<void> {
  const consumer = backend.subscribe(TOPIC, LEASE_MS);
  await consumer.whenConnected(new AbortController().signal);
  const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
  for (const sequence of numbers) {
    const times = { enqueuedAtMs: sequence, dueAtMs: 0 };
    const job = { sequence, id: `job-${sequence}`, unique: false, ...times, payload: '1' };
    await backend.publish({ topic: TOPIC, producer: 'p', ...marks, jobs: [job] });
    let [taken] = await consumer.fetch(1);
    while (taken === undefined) [taken] = await consumer.fetch(1);
    await consumer.deadLetter(taken, `reason ${sequence}`);
  }
  await consumer.close();
}

test.each(stores)(
  'on %s, maxDeadLetters are kept, and of one more the newest',
  async (_name, create) => {
    const fixture = await openRedisFixture({});
    const backend = create(fixture.redis.url);
    const ignored = (): void => undefined;
    backend.open({ connected: ignored, attemptFailed: ignored, disconnected: ignored });
    const kept = async (): Promise<string[]> => {
      const letters = await backend.deadLetters(TOPIC, 100);
      expect((await backend.count(TOPIC)).dead).toBe(letters.length);
      return letters.map(({ reason }) => reason);
    };
    const reasons = (from: number, to: number): string[] =>
      Array.from({ length: to - from + 1 }, (_, index) => `reason ${from + index}`);
    try {
      await backend.whenConnected(new AbortController().signal);
      await bury(backend, [1, 2, 3]);
      expect(await kept()).toEqual(reasons(1, BOUND - 1));
      await bury(backend, [4]);
      expect(await kept()).toEqual(reasons(1, BOUND));
      await bury(backend, [5]);
      expect(await kept()).toEqual(reasons(2, BOUND + 1));
      await bury(backend, [6, 7, 8, 9, 10, 11]);
      expect(await kept()).toEqual(reasons(8, 11));
      expect(await backend.redrive(TOPIC, 100)).toBe(BOUND);
      expect(await kept()).toEqual([]);
    } finally {
      await backend.close();
      await fixture.close();
    }
  },
);
