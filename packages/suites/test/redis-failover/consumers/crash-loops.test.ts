import { describe, expect, test } from '@jest/globals';
import { type NewJob, type ProcessOptions, type Queue, createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import { type CrashingConsumerOptions, runCrashingConsumer } from '../../../src/child.ts';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 't';
const LEASE_MS = 400;
const PROCESSES = 12;
const HEALTHY = 20;
const MAX_ATTEMPTS = 3;

type Store = CrashingConsumerOptions['store'];

interface World {
  readonly fixture: RedisFixture;
  readonly queue: Queue;
  readonly store: Store;
}

interface CrashLoop {
  /** How many processes the jobs have ended. */
  readonly deaths: number;
  /** The healthy jobs that were handled, each as often as it was. */
  readonly handled: readonly string[];
}

/** Replaces each process that dies, as an orchestrator does, until the jobs are settled or enough have died. */
async function crashLoop(
  { fixture, queue, store }: World,
  options: { readonly process?: ProcessOptions; readonly atOnce?: number } = {},
): Promise<CrashLoop> {
  const { url } = fixture.redis;
  const order: CrashingConsumerOptions = {
    url,
    store,
    topic: TOPIC,
    leaseMs: LEASE_MS,
    ...(options.process && { process: options.process }),
  };
  const handled: string[] = [];
  let deaths = 0;
  const over = new AbortController();
  const replace = async (): Promise<void> => {
    while (!over.signal.aborted && deaths < PROCESSES) {
      const consumer = runCrashingConsumer(order);
      running.add(consumer);
      await consumer.died;
      running.delete(consumer);
      handled.push(...consumer.handled);
      if (!over.signal.aborted) deaths += 1;
    }
  };
  const running = new Set<ReturnType<typeof runCrashingConsumer>>();
  const loops = Array.from({ length: options.atOnce ?? 1 }, () => replace());
  await waitUntil(async () => {
    const { waiting, pending, delayed } = await queue.inspect(TOPIC).counts();
    return deaths >= PROCESSES || waiting + pending + delayed === 0;
  });
  over.abort();
  await Promise.all([...running].map((consumer) => consumer.kill()));
  await Promise.all(loops);
  return { deaths, handled: handled.toSorted() };
}

async function withQueue(store: Store, run: (world: World) => Promise<void>): Promise<void> {
  const fixture = await openRedisFixture({});
  const { url } = fixture.redis;
  const queue =
    store === 'redis'
      ? fixture.queue({ fallback: 'memory' })
      : createQueueOn(createBullmqBackend({ redis: { url } }));
  try {
    await queue.ready();
    await run({ fixture, queue, store });
  } finally {
    await queue.close({ deadlineMs: 1_000 }).catch(() => undefined);
    await fixture.close();
  }
}

/** A job that ends its process among healthy ones. */
function jobsWith(
  poison: string,
  at: number,
): { readonly jobs: NewJob[]; readonly healthy: string[] } {
  const healthy = Array.from({ length: HEALTHY }, (_, n) => `healthy ${n}`).toSorted();
  const jobs: NewJob[] = healthy.map((jobId) => ({ jobId, payload: 'healthy' }));
  jobs.splice(at, 0, { jobId: 'poison', payload: poison });
  return { jobs, healthy };
}

/** The ways to end a process, and how many healthy jobs precede the one that does; on BullMQ one is enough. */
const ways: Readonly<Record<Store, readonly (readonly [string, number])[]>> = {
  redis: [
    ['exit', 0],
    ['abort', 5],
    ['SIGKILL', HEALTHY],
  ],
  bullmq: [['exit', 5]],
};

describe.each(['redis', 'bullmq'] as const)('on %s', (store) => {
  test.each(ways[store])(
    'a job whose handler ends its process by %s ends as many as it has attempts, and is buried; the others run (at %i)',
    async (poison, at) => {
      await withQueue(store, async (world) => {
        const { queue } = world;
        const { jobs, healthy } = jobsWith(poison, at);
        await queue.enqueueMany(TOPIC, jobs);
        const { deaths, handled } = await crashLoop(world);
        expect(deaths).toBeLessThanOrEqual(MAX_ATTEMPTS);
        expect([...new Set(handled)]).toEqual(healthy);
        const [letter, ...others] = await queue.deadLetters(TOPIC).list();
        expect(letter).toMatchObject({ id: 'poison', attempts: MAX_ATTEMPTS });
        expect(letter?.reason).toContain('its process died');
        expect(others).toEqual([]);
      });
    },
  );

  test('two consumers bury what ends their processes, and a retry so far counts as an attempt', async () => {
    await withQueue(store, async (world) => {
      const { queue } = world;
      const { jobs, healthy } = jobsWith('fail, then exit', 2);
      await queue.enqueueMany(TOPIC, jobs);
      const { deaths, handled } = await crashLoop(world, { atOnce: 2 });
      // The first attempt failed without harm.
      expect(deaths).toBeLessThanOrEqual(MAX_ATTEMPTS - 1);
      expect([...new Set(handled)]).toEqual(healthy);
      const letters = await queue.deadLetters(TOPIC).list();
      expect(letters).toMatchObject([{ id: 'poison', attempts: MAX_ATTEMPTS }]);
    });
  });

  test('with one attempt, a job that ends its process ends one', async () => {
    await withQueue(store, async (world) => {
      const { queue } = world;
      await queue.enqueueMany(TOPIC, [
        { payload: 'exit', jobId: 'poison' },
        { payload: 1, jobId: 'a' },
      ]);
      const { deaths } = await crashLoop(world, {
        process: { maxAttempts: 1, concurrency: 1 },
      });
      expect(deaths).toBe(1);
      const letters = await queue.deadLetters(TOPIC).list();
      expect(letters).toMatchObject([{ id: 'poison', attempts: 1 }]);
    });
  });

  test.each([
    [2, { maxAttempts: 5, maxCrashes: 2 }],
    [3, { maxAttempts: 1, maxCrashes: 3 }],
  ])(
    'a job ends %i processes with maxCrashes of so many, whatever maxAttempts is',
    async (most, options) => {
      await withQueue(store, async (world) => {
        const { queue } = world;
        const { jobs, healthy } = jobsWith('exit', 2);
        await queue.enqueueMany(TOPIC, jobs);
        const { deaths, handled } = await crashLoop(world, { process: options });
        expect(deaths).toBe(most);
        expect([...new Set(handled)]).toEqual(healthy);
        const letters = await queue.deadLetters(TOPIC).list();
        expect(letters).toMatchObject([{ id: 'poison', attempts: most }]);
      });
    },
  );

  test('closing a consumer is no death: a job that is handed back again and again keeps its attempts', async () => {
    await withQueue(store, async (world) => {
      const { queue } = world;
      await queue.enqueue(TOPIC, 'slow');
      const attempts: number[] = [];
      for (let round = 0; round < 2 * MAX_ATTEMPTS; round += 1) {
        const consumer = queue.process(
          TOPIC,
          ({ attempt }, { signal }) => {
            attempts.push(attempt);
            return new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason));
            });
          },
          // Longer than the test: only a job that was handed back is delivered again.
          { leaseMs: 600_000 },
        );
        await waitUntil(() => attempts.length > round);
        await consumer.close({ deadlineMs: 1 });
      }
      expect(attempts).toEqual(attempts.map(() => 1));
      expect(await queue.inspect(TOPIC).counts()).toMatchObject({
        waiting: 1,
        pending: 0,
        dead: 0,
      });
      expect(world.fixture.redis.state).toBe('running');
    });
  });
});
