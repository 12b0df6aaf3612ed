import { expect, test } from '@jest/globals';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { type Queue, createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const LATENCY_MS = 20;
const JOBS = 60;
/** When a consumer is closed, after it is connected: from before its first read until it is busy. */
const MOMENTS_MS = [-1, ...Array.from({ length: 24 }, (_, number) => number * 20)];
/** Far longer than the test: a job that is not handed back is missed. */
const LEASE_MS = 600_000;
/** Shorter than a round trip. */
const HANDLER_MS = 2;
const PARTITIONS = 8;

interface Closing {
  readonly fixture: RedisFixture;
  /** Opens a queue behind a slow link. */
  readonly slow: () => Queue;
  /** Opens a queue without one. */
  readonly fast: () => Queue;
}

/** Closes one consumer at this moment; the next one handles what is left. Returns what went wrong. */
async function closeAt(
  { slow, fast }: Closing,
  topic: string,
  { momentMs, deadlineMs }: { readonly momentMs: number; readonly deadlineMs: number },
): Promise<unknown> {
  const jobs = Array.from({ length: JOBS }, (_, payload) => ({ payload, key: String(payload) }));
  const producer = fast();
  await producer.enqueueMany(
    topic,
    topic.startsWith('keyed') ? jobs : jobs.map(({ payload }) => ({ payload })),
  );
  const runs = new Map<unknown, number>();
  const started = (payload: unknown): void => void runs.set(payload, (runs.get(payload) ?? 0) + 1);
  let isClosing = false;
  let late = 0;
  const queue = slow();
  queue.process(
    topic,
    async ({ payload }) => {
      started(payload);
      if (isClosing) late += 1;
      await sleep(systemClock, HANDLER_MS);
    },
    { concurrency: 10, leaseMs: LEASE_MS },
  );
  if (momentMs >= 0) {
    await nextEvent(queue, 'connected');
    await sleep(systemClock, momentMs);
  }
  isClosing = true;
  await queue.close({ deadlineMs });
  producer.process(topic, ({ payload }) => started(payload), { leaseMs: LEASE_MS });
  await waitUntil(() => runs.size === JOBS, 20_000).catch(() => undefined);
  const doubled = [...runs.values()].filter((times) => times > 1).length;
  return { late, doubled, left: JOBS - runs.size };
}

test.each([
  ['redis', 'plain', 0],
  ['redis', 'plain', 20],
  ['redis', 'plain', 5_000],
  ['redis', 'keyed', 0],
  ['redis', 'keyed', 5_000],
  ['bullmq', 'plain', 0],
])(
  'a consumer on %s that is closed at any moment of its first reads starts nothing more and settles what succeeded: %s jobs, deadline %i ms',
  async (store, kind, deadlineMs) => {
    const fixture = await openRedisFixture({});
    const open = (url: string): Queue => {
      const redis = { url };
      const topics = Object.fromEntries(
        MOMENTS_MS.map((momentMs) => [`keyed ${momentMs}`, { partitions: PARTITIONS }]),
      );
      const queue =
        store === 'bullmq'
          ? createQueueOn(createBullmqBackend({ redis }), { fallback: 'memory' })
          : fixture.queue({ redis, topics, fallback: 'memory' });
      opened.push(queue);
      return queue;
    };
    const opened: Queue[] = [];
    try {
      const proxy = await fixture.proxy();
      proxy.faults.set('latency', { latencyMs: LATENCY_MS });
      const closing: Closing = {
        fixture,
        slow: () => open(`redis://${proxy.host}:${proxy.port}`),
        fast: () => open(fixture.redis.url),
      };
      const results = await Promise.all(
        MOMENTS_MS.map(async (momentMs) => ({
          momentMs,
          seen: await closeAt(closing, `${kind} ${momentMs}`, { momentMs, deadlineMs }),
        })),
      );
      const right = { late: 0, doubled: 0, left: 0 };
      expect(results).toEqual(MOMENTS_MS.map((momentMs) => ({ momentMs, seen: right })));
    } finally {
      await Promise.all(
        opened.map((queue) => queue.close({ deadlineMs: 0 }).catch(() => undefined)),
      );
      await fixture.close();
    }
  },
);
