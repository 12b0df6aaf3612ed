import { expect, test } from '@jest/globals';
import type { Queue, QueueEvents } from '@holdfast/queue';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { untilDirect } from '../../../src/outage.ts';
import { AOF_ALWAYS, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { runSuspendedConsumer } from '../../../src/child.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 't';
const LEASE_MS = 30_000;
const ROUNDS = 8;
const OPERATIONS = 24;
const SEED = 20_261_201;
const ABORTED_WITHIN_MS = 1_000;
/** A busy machine delays the report of a process that was aborted in time. */
const BUSY = 2;

async function withRedis(run: (fixture: RedisFixture) => Promise<void>): Promise<void> {
  const fixture = await openRedisFixture(AOF_ALWAYS);
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

/** What became of the operations of a queue, in the order in which Redis applied them. */
function outcomesOf(queue: Queue): QueueEvents['operation-applied'][] {
  const applied: QueueEvents['operation-applied'][] = [];
  queue.on('operation-applied', (event) => applied.push(event));
  return applied;
}

/** Handles the jobs of the topic until as many as there are have been handled. */
async function handleAll(queue: Queue, count: number): Promise<unknown[]> {
  const handled: unknown[] = [];
  queue.process(TOPIC, ({ payload }) => void handled.push(payload), { concurrency: 1 });
  await waitUntil(() => handled.length >= count);
  return handled;
}

test('operations accepted while Redis is down are applied once, in their place among the jobs, and a pause survives restarts of all', async () => {
  await withRedis(async (fixture) => {
    const directory = await fixture.directory();
    const queue = fixture.queue({ directory });
    await queue.ready();
    const applied = outcomesOf(queue);
    await queue.enqueueMany(TOPIC, [
      { payload: 1, jobId: 'a1' },
      { payload: 2, jobId: 'a2' },
      { payload: 3, jobId: 'a3', delayMs: 3_600_000 },
    ]);
    await fixture.redis.kill();
    await queue.enqueue(TOPIC, 4, { jobId: 'b1' });
    const answers = [
      await queue.cancel(TOPIC, 'a1'),
      await queue.cancel(TOPIC, 'b1'),
      await queue.reschedule(TOPIC, 'a3', { delayMs: 0 }),
      await queue.cancel(TOPIC, 'c1'),
      await queue.pause(TOPIC),
    ];
    for (const { accepted, outcome } of answers) {
      expect({ accepted, outcome }).toEqual({ accepted: 'journal', outcome: 'pending' });
    }
    // Behind the operation on it: that one finds nothing.
    await queue.enqueue(TOPIC, 5, { jobId: 'c1' });
    const down = expect.objectContaining({ code: 'QUEUE_BACKEND_FAILED' });
    await expect(queue.purge(TOPIC)).rejects.toEqual(down);
    await expect(queue.isPaused(TOPIC)).rejects.toEqual(down);
    await fixture.redis.start();
    await untilDirect(queue);
    await waitUntil(() => applied.length === answers.length);
    expect(applied.map(({ operationId }) => operationId)).toEqual(
      answers.map(({ operationId }) => operationId),
    );
    expect(applied.map(({ jobId, outcome }) => [jobId, outcome])).toEqual([
      ['a1', 'removed'],
      ['b1', 'removed'],
      ['a3', 'rescheduled'],
      ['c1', 'not-found'],
      [undefined, 'paused'],
    ]);
    await queue.close();
    await fixture.redis.kill();
    await fixture.redis.start();
    const next = fixture.queue({ directory });
    await next.ready();
    const early: unknown[] = [];
    const consumer = next.process(TOPIC, ({ payload }) => void early.push(payload));
    const other: unknown[] = [];
    next.process('other', ({ payload }) => void other.push(payload));
    await next.enqueue('other', 1, { delayMs: 500 });
    await waitUntil(() => other.length === 1);
    expect({ early, isPaused: await next.isPaused(TOPIC) }).toEqual({ early: [], isPaused: true });
    await consumer.close();
    expect((await next.resume(TOPIC)).outcome).toBe('resumed');
    const handled = await handleAll(next, 3);
    await fixture.untilHandled(TOPIC);
    expect(handled.toSorted()).toEqual([2, 3, 5]);
  });
});

test('through kills of Redis amid operations, each is applied once, and no job is lost, doubled or run although cancelled', async () => {
  await withRedis(async (fixture) => {
    const random = seededRandom(SEED);
    const queue = fixture.queue({ directory: await fixture.directory() });
    await queue.ready();
    const applied = outcomesOf(queue);
    const operations: string[] = [];
    const cancelled = new Set<number>();
    let jobs = 0;
    const operate = async (index: number): Promise<void> => {
      jobs += 1;
      const mine = jobs;
      await queue.enqueue(TOPIC, mine, { jobId: `j${mine}` });
      const isCancelled = index % 3 === 0;
      if (isCancelled) cancelled.add(mine);
      const { operationId } = isCancelled
        ? await queue.cancel(TOPIC, `j${mine}`)
        : await (index % 3 === 1 ? queue.pause(TOPIC) : queue.resume(TOPIC));
      operations.push(operationId);
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      const work = (async () => {
        for (let index = 0; index < OPERATIONS; index += 1) await operate(index);
      })();
      await sleep(systemClock, Math.ceil(random() * 40));
      await fixture.redis.kill();
      await work;
      await fixture.redis.start();
      await untilDirect(queue);
    }
    await waitUntil(() => applied.length >= operations.length);
    expect(applied.map(({ operationId }) => operationId)).toEqual(operations);
    // One that was applied twice, or not in its place, would meet another state than the one before has left.
    const expected = { cancel: 'removed', pause: 'paused', resume: 'resumed' } as const;
    const wrong = applied.filter(
      ({ operation, outcome }) =>
        outcome !== 'unknown' && outcome !== Reflect.get(expected, operation),
    );
    expect(wrong).toEqual([]);
    expect(await queue.isPaused(TOPIC)).toBe(false);
    const due = Array.from({ length: jobs }, (_, index) => index + 1).filter(
      (job) => !cancelled.has(job),
    );
    const handled = await handleAll(queue, due.length);
    await fixture.untilHandled(TOPIC);
    expect(handled).toEqual(due);
  });
});

test('the signal of a job that is cancelled is aborted on another process within a second, and the job does not run again', async () => {
  await withRedis(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const topics = { [TOPIC]: { partitions: 2 } };
    const keyed = fixture.queue({ fallback: 'memory', topics });
    await keyed.ready();
    const consumer = runSuspendedConsumer({
      url: fixture.redis.url,
      topic: TOPIC,
      topics,
      handlerMs: 1,
      process: { leaseMs: LEASE_MS, retryDelayMs: 1 },
    });
    try {
      for (const [jobId, key] of [
        ['plain', undefined],
        ['keyed', 'k'],
      ] as const) {
        consumer.started.length = 0;
        await keyed.enqueue(TOPIC, 'until aborted', { jobId, ...(key !== undefined && { key }) });
        await keyed.enqueue(TOPIC, 'next', key === undefined ? {} : { key });
        await waitUntil(() => consumer.started.includes('until aborted'));
        const cancelledMs = systemClock.now();
        expect((await queue.cancel(TOPIC, jobId)).outcome).toBe('aborting');
        await waitUntil(() => consumer.started.includes('aborted'));
        expect(systemClock.now() - cancelledMs).toBeLessThan(BUSY * ABORTED_WITHIN_MS);
        await waitUntil(() => consumer.started.includes('next'));
        await fixture.untilHandled(TOPIC);
        expect(consumer.started.toSorted()).toEqual(['aborted', 'next', 'until aborted']);
      }
      expect((await queue.cancel(TOPIC, 'keyed')).outcome).toBe('not-found');
    } finally {
      await consumer.kill();
    }
  });
});

test('a cancelled job whose consumer dies is not handed over to another one', async () => {
  await withRedis(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const leaseMs = 600;
    const consumer = runSuspendedConsumer({
      url: fixture.redis.url,
      topic: TOPIC,
      handlerMs: 60_000,
      process: { leaseMs },
    });
    await queue.enqueue(TOPIC, 'held', { jobId: 'a' });
    await waitUntil(() => consumer.started.length === 1);
    await consumer.kill();
    expect((await queue.cancel(TOPIC, 'a')).outcome).toBe('aborting');
    await queue.enqueue(TOPIC, 'other');
    const handled: unknown[] = [];
    queue.process(TOPIC, ({ payload }) => void handled.push(payload), { leaseMs });
    await fixture.untilHandled(TOPIC);
    expect(handled).toEqual(['other']);
  });
});
