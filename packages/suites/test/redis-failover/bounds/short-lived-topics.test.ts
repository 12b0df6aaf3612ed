import { expect, test } from '@jest/globals';
import { QueueFullError } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/foundation';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

/** Whether there was room for the topic of the job. */
async function isAccepted(enqueued: Promise<unknown>): Promise<boolean> {
  try {
    await enqueued;
    return true;
  } catch (error) {
    if (error instanceof QueueFullError && error.limit === 'maxTopics') return false;
    throw error;
  }
}

test('topics that live shortly leave only marks in Redis, which expire; jobs and topics with consumers stay', async () => {
  const fixture = await openRedisFixture({});
  try {
    const queue = fixture.queue({
      directory: await fixture.directory(),
      maxTopics: 3,
      retainMs: 50,
    });
    const handled: unknown[] = [];
    const rounds = 8;
    queue.process('lasting', () => undefined);
    await queue.enqueue('lasting', 1);
    await queue.enqueue('full', 'nobody handles it');
    for (let round = 0; round < rounds; round += 1) {
      const topic = `short-${round}`;
      await waitUntil(() => isAccepted(queue.enqueue(topic, round)));
      const consumer = queue.process(topic, ({ payload }) => void handled.push(payload));
      await waitUntil(() => handled.length === round + 1);
      await consumer.close();
    }
    // Each new topic removes those before it.
    const streams = (): Promise<string[]> => fixture.admin((client) => client.keys('*:jobs'));
    await waitUntil(
      async () => (await streams()).filter((key) => key.includes('short')).length <= 3,
    );
    expect(await streams()).toEqual(
      expect.arrayContaining(['holdfast:{full}:jobs', 'holdfast:{lasting}:jobs']),
    );
    for (const key of await fixture.admin((client) => client.keys('*:mark:*'))) {
      expect(await fixture.admin((client) => client.pttl(key))).toBeGreaterThan(0);
    }
    await queue.enqueue('full', 'another');
    expect(await queue.inspect('full').counts()).toMatchObject({ waiting: 2 });
  } finally {
    await fixture.close();
  }
});

test('the mark of a producer that goes on lives longer than its time to live', async () => {
  const fixture = await openRedisFixture({});
  try {
    const markTtlMs = 1_500;
    const queue = fixture.queue({ directory: await fixture.directory(), markTtlMs });
    const marks = (): Promise<string[]> => fixture.admin((client) => client.keys('*:mark:*'));
    await queue.enqueue('t', 0);
    const [before] = await marks();
    expect(before).toBeDefined();
    const startedMs = systemClock.now();
    while (systemClock.now() - startedMs < 2 * markTtlMs) {
      await sleep(systemClock, markTtlMs / 15);
      await queue.enqueue('t', 1);
      expect((await marks()).length).toBe(2);
    }
    expect(queue.getStats().dataLoss.count).toBe(0);
    await waitUntil(async () => (await marks()).length === 0);
  } finally {
    await fixture.close();
  }
});
