import { expect, test } from '@jest/globals';
import type { Queue, RedisConnector } from '@holdfast/queue';
import { nextEvent, sleep, systemClock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const DAY_S = 86_400;
const MOST_A_DAY = 50_000;
/** Four rounds of an idle consumer. */
const WINDOW_S = 20;
/** The longest that an idle consumer waits by itself; what wakes it takes far less. */
const ROUND_MS = 5_000;

async function withFixture(run: (fixture: RedisFixture) => Promise<void>): Promise<void> {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

/** A consumer that has nothing to do, and the ids of the jobs it handles. */
async function idleConsumer(queue: Queue, topic: string): Promise<string[]> {
  await queue.ready();
  const handled: string[] = [];
  queue.process(topic, ({ id }) => void handled.push(id));
  await queue.enqueue(topic, 'first', { jobId: 'first' });
  await waitUntil(() => handled.includes('first'));
  return handled;
}

test('an idle consumer sends fewer than 50,000 commands a day, with and without partitions', async () => {
  await withFixture(async (fixture) => {
    const counted = (count: () => void): RedisConnector => {
      return (required) => {
        const client = new Redis(fixture.redis.url, required);
        const call = client.call.bind(client);
        return Object.assign(client, {
          call(command: string, ...args: (string | number | Buffer)[]) {
            count();
            return call(command, ...args);
          },
        });
      };
    };
    const sent = { plain: 0, keyed: 0 };
    const open = (kind: keyof typeof sent): Queue =>
      fixture.queue({
        redis: { connect: counted(() => (sent[kind] += 1)) },
        fallback: 'memory',
        topics: { keyed: { partitions: 16 } },
      });
    const keyed = open('keyed');
    await keyed.enqueue('keyed', 1, { key: 'a' });
    await Promise.all([idleConsumer(open('plain'), 'plain'), idleConsumer(keyed, 'keyed')]);
    // The producer's probes of a busy connection end with the next round.
    await sleep(systemClock, ROUND_MS + 1_000);
    const before = { ...sent };
    await sleep(systemClock, WINDOW_S * 1_000);
    for (const kind of ['plain', 'keyed'] as const) {
      // Of the rounds at the two ends of the window, one is partly outside of it.
      const aDay = ((sent[kind] - before[kind] - 1) * DAY_S) / WINDOW_S;
      expect(aDay).toBeLessThanOrEqual(MOST_A_DAY);
    }
  });
});

test('an idle consumer handles a job at once, a delayed one when it is due, and one of another priority', async () => {
  await withFixture(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory', topics: { keyed: { partitions: 2 } } });
    const producer = fixture.queue({ fallback: 'memory', topics: { keyed: { partitions: 2 } } });
    await producer.ready();
    const handled = await idleConsumer(queue, 't');
    const keyed = await idleConsumer(queue, 'keyed');
    const startedMs = systemClock.now();
    await producer.enqueue('t', 1, { jobId: 'plain' });
    await producer.enqueue('t', 1, { jobId: 'delayed', delayMs: 300 });
    await producer.enqueue('keyed', 1, { jobId: 'a', key: 'a' });
    await producer.enqueue('keyed', 1, { jobId: 'delayed', key: 'b', delayMs: 300 });
    await waitUntil(() => handled.length === 3 && keyed.length === 3);
    await producer.enqueue('t', 1, { jobId: 'high', priority: 'high' });
    await waitUntil(() => handled.length === 4);
    expect(systemClock.now() - startedMs).toBeLessThan(ROUND_MS / 2);
  });
});

test('more than 500 delayed jobs that are due together are all handled at once', async () => {
  await withFixture(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    const handled = await idleConsumer(queue, 't');
    const jobs = Array.from({ length: 1_201 }, (_, payload) => ({ payload, delayMs: 500 }));
    await queue.enqueueMany('t', jobs);
    const startedMs = systemClock.now();
    await waitUntil(() => handled.length === 1 + jobs.length);
    expect(systemClock.now() - startedMs).toBeLessThan(ROUND_MS);
  });
});

test('a job that a closing consumer hands back is handled by an idle one at once', async () => {
  await withFixture(async (fixture) => {
    const [one, two] = [
      fixture.queue({ fallback: 'memory' }),
      fixture.queue({ fallback: 'memory' }),
    ];
    await Promise.all([one.ready(), two.ready()]);
    const started = Promise.withResolvers<void>();
    const consumer = one.process(
      't',
      (_, { signal }) => {
        started.resolve();
        return new Promise<void>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      },
      { concurrency: 1 },
    );
    await two.enqueue('t', 1, { jobId: 'returned' });
    await started.promise;
    const handled: { id: string; attempt: number }[] = [];
    two.process('t', ({ id, attempt }) => void handled.push({ id, attempt }));
    // The second one has looked for orphaned jobs, and waits for new ones.
    await two.enqueue('t', 1, { jobId: 'first' });
    await waitUntil(() => handled.length === 1);
    const startedMs = systemClock.now();
    await consumer.close({ deadlineMs: 1 });
    await waitUntil(() => handled.length === 2);
    expect(systemClock.now() - startedMs).toBeLessThan(ROUND_MS / 2);
    expect(handled[1]).toEqual({ id: 'returned', attempt: 1 });
  });
});

test('closing an idle consumer does not wait for its read, and leaves no job with it', async () => {
  await withFixture(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const handled: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const consumer = queue.process('t', ({ id }) => void handled.push(id));
      await queue.enqueue('t', round);
      await waitUntil(() => handled.length === round + 1);
      const startedMs = systemClock.now();
      await consumer.close();
      expect(systemClock.now() - startedMs).toBeLessThan(ROUND_MS / 2);
    }
    await queue.enqueue('t', 'after');
    expect(await queue.inspect('t').counts()).toMatchObject({ waiting: 1, pending: 0 });
  });
});

test('no job is lost when Redis restarts while consumers wait for jobs', async () => {
  await withFixture(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    const handled = await idleConsumer(queue, 't');
    for (let round = 0; round < 3; round += 1) {
      const disconnected = nextEvent(queue, 'disconnected');
      await fixture.redis.kill();
      await disconnected;
      await fixture.redis.start();
      await waitUntil(() => queue.state === 'direct');
      const jobs = Array.from({ length: 20 }, (_, n) => ({ payload: n, jobId: `${round} ${n}` }));
      await queue.enqueueMany('t', jobs);
    }
    await waitUntil(() => handled.length >= 61);
    expect(new Set(handled).size).toBe(61);
    await fixture.untilHandled('t');
    expect(handled).toHaveLength(61);
  });
});
