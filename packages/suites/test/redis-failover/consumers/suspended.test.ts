import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import type { NewJob, ProcessOptions } from '@holdfast/queue';
import { runSuspendedConsumer } from '../../../src/child.ts';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const LEASE_MS = 1_000;
/** How long the process gets to start what it must not. */
const WATCHED_MS = 1_500;
const CONCURRENCY = 4;

interface Story {
  readonly jobs: readonly NewJob[];
  readonly process?: ProcessOptions;
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  readonly handlerMs: number;
  /** The process is stopped once it has started so many. */
  readonly after: number;
}

const many: readonly NewJob[] = Array.from({ length: 300 }, (_, payload) => ({ payload }));

test.each<[string, Story]>([
  ['jobs taken ahead', { jobs: many, handlerMs: 1, after: 40 }],
  [
    'jobs of keys',
    {
      jobs: many.map(({ payload }) => ({ payload, key: `key ${Number(payload) % 16}` })),
      topics: { t: { partitions: 8 } },
      handlerMs: 1,
      after: 40,
    },
  ],
  [
    'a failed job of a key, which waits in the process',
    {
      jobs: [{ payload: 'fails once', key: 'k' }],
      topics: { t: { partitions: 1 } },
      process: { retryDelayMs: 2_000 },
      handlerMs: 1,
      after: 1,
    },
  ],
])(
  'a process that is stopped for longer than its lease starts none of the jobs that another one has handled: %s',
  async (_, { jobs, process, topics, handlerMs, after }) => {
    const fixture = await openRedisFixture({});
    const { url } = fixture.redis;
    const options = { leaseMs: LEASE_MS, concurrency: CONCURRENCY, ...process };
    const queue = fixture.queue({ fallback: 'memory', ...(topics && { topics }) });
    const child = runSuspendedConsumer({
      url,
      topic: 't',
      handlerMs,
      process: options,
      ...(topics && { topics }),
    });
    try {
      await queue.ready();
      await queue.enqueueMany('t', jobs);
      await waitUntil(() => child.started.length >= after);
      child.suspend();
      const others: unknown[] = [];
      queue.process('t', ({ payload }) => void others.push(payload), options);
      await fixture.untilHandled('t');
      if (topics !== undefined) {
        await waitUntil(async () => {
          const { waiting, pending, delayed } = await queue.inspect('t').counts();
          return waiting + pending + delayed === 0;
        });
      }
      const startedBefore = child.started.length;
      child.resume();
      await sleep(systemClock, WATCHED_MS);
      expect(others.length).toBeGreaterThan(0);
      // Reports that were sent before the stop arrive before the first of those after it.
      const again = child.started.slice(startedBefore).filter((job) => others.includes(job));
      expect(again).toEqual([]);
    } finally {
      await child.kill();
      await fixture.close();
    }
  },
);
