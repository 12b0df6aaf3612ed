import { expect, test } from '@jest/globals';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { runSuspendedConsumer } from '../../../src/child.ts';
import { TOPIC } from '../../../src/outage.ts';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

/** Jobs accepted longer before the flush than `retainMs`, and jobs accepted just before it. */
const OLD = 150;
const FRESH = 150;
const RETAIN_MS = 1_000;
const PROCESSES = 3;

test('after FLUSHALL with three consumers in three processes, no process runs a job twice, and at most the resent ones run in two', async () => {
  const fixture = await openRedisFixture({});
  const { url } = fixture.redis;
  const consumers = Array.from({ length: PROCESSES }, () =>
    runSuspendedConsumer({ url, topic: TOPIC, handlerMs: 5, process: { concurrency: 5 } }),
  );
  try {
    const queue = fixture.queue({ directory: await fixture.directory(), retainMs: RETAIN_MS });
    const runs = (): Map<number, number[]> => {
      const byJob = new Map<number, number[]>();
      for (const [index, { started }] of consumers.entries()) {
        for (const job of started.map(Number)) byJob.set(job, [...(byJob.get(job) ?? []), index]);
      }
      return byJob;
    };
    const enqueue = async (from: number, count: number): Promise<void> => {
      const jobs = Array.from({ length: count }, (_, index) => ({ payload: from + index }));
      await queue.enqueueMany(TOPIC, jobs);
      await waitUntil(() => runs().size === from + count);
      await fixture.untilHandled(TOPIC);
    };
    await enqueue(0, OLD);
    await sleep(systemClock, RETAIN_MS);
    await enqueue(OLD, FRESH);
    expect(consumers.filter(({ started }) => started.length > 0)).toHaveLength(PROCESSES);
    const lost = nextEvent(queue, 'server-lost-jobs');
    await fixture.admin((client) => client.flushall());
    await enqueue(OLD + FRESH, 1);
    const { resent } = await lost;
    const again = [...runs()].filter(([, processes]) => processes.length > 1);
    expect(resent).toBeLessThanOrEqual(FRESH);
    expect(again.length).toBeLessThanOrEqual(resent);
    for (const [job, processes] of again) {
      expect(job).toBeGreaterThanOrEqual(OLD);
      // Each once more, and in another process than before.
      expect(processes).toHaveLength(2);
      expect(new Set(processes).size).toBe(2);
    }
  } finally {
    await Promise.all(consumers.map((consumer) => consumer.kill()));
    await fixture.close();
  }
});
