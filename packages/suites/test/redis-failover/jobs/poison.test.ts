import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';

const KEYS = `holdfast:{${TOPIC}}`;
const LATER_MS = 3_600_000;

test('jobs whose key has another type become poison, and the jobs around them are accepted', async () => {
  const fixture = await openRedisFixture({});
  try {
    const queue = fixture.queue({ directory: await fixture.directory() });
    await queue.ready();
    await fixture.admin((client) => client.set(`${KEYS}:delayed`, 'no sorted set'));
    const answers = await Promise.allSettled([
      queue.enqueue(TOPIC, 1),
      queue.enqueue(TOPIC, 2, { jobId: 'later', delayMs: LATER_MS }),
      queue.enqueue(TOPIC, 3),
    ]);
    expect(answers).toMatchObject([
      { value: { accepted: 'redis' } },
      { reason: { code: 'QUEUE_JOB_POISON', reason: expect.stringMatching(/^WRONGTYPE/u) } },
      { value: { accepted: 'redis' } },
    ]);
    expect(queue.state).toBe('direct');

    await fixture.redis.kill();
    await queue.enqueue(TOPIC, 4);
    await queue.enqueue(TOPIC, 5, { jobId: 'later', delayMs: LATER_MS });
    await queue.enqueue(TOPIC, 6);
    await fixture.redis.start();
    await fixture.admin((client) => client.set(`${KEYS}:delayed`, 'no sorted set'));
    await untilDirect(queue);
    expect(await queue.poisonJobs(TOPIC).list()).toMatchObject([
      { id: 'later', payload: 5, reason: expect.stringMatching(/^WRONGTYPE/u) },
    ]);
    const handled: unknown[] = [];
    queue.process(TOPIC, ({ payload }) => void handled.push(payload), { concurrency: 1 });
    await fixture.admin((client) => client.del(`${KEYS}:delayed`));
    await queue.poisonJobs(TOPIC).redrive();
    await waitUntil(async () => handled.includes(6));
    // Jobs that Redis accepted before it was killed, and did not keep, were sent again.
    expect(handled).toEqual([1, 3, 4, 6]);
    expect(await fixture.admin((client) => client.zrange(`${KEYS}:delayed`, '0', '-1'))).toEqual([
      expect.stringMatching(/^later\n/u),
    ]);
  } finally {
    await fixture.close();
  }
});

test('when the key of the topic has another type no job becomes poison: all wait, with an alarm', async () => {
  const fixture = await openRedisFixture({});
  try {
    const queue = fixture.queue({ directory: await fixture.directory() });
    await queue.ready();
    await fixture.admin((client) => client.set(`${KEYS}:jobs`, 'no stream'));
    await queue.enqueueMany(TOPIC, [{ payload: 1 }, { payload: 2 }, { payload: 3 }]);
    expect(queue.getStats()).toMatchObject({
      state: 'blocked',
      errorClass: 'denied',
      lastError: expect.stringMatching(/WRONGTYPE/u),
      poisoned: 0,
      backlog: { jobs: 3 },
    });
    const handled: unknown[] = [];
    queue.process(TOPIC, ({ payload }) => void handled.push(payload), { concurrency: 1 });
    const drained = nextEvent(queue, 'drained');
    await fixture.admin((client) => client.del(`${KEYS}:jobs`));
    await drained;
    await waitUntil(async () => handled.length === 3);
    expect(handled).toEqual([1, 2, 3]);
  } finally {
    await fixture.close();
  }
});

test('a payload larger than the server accepts becomes poison before it breaks the connection', async () => {
  const fixture = await openRedisFixture({ 'proto-max-bulk-len': '1mb' });
  try {
    const queue = fixture.queue({
      directory: await fixture.directory(),
      maxPayloadBytes: 4_000_000,
    });
    await queue.ready();
    const large = 'x'.repeat(2_000_000);
    const answers = await Promise.allSettled([
      queue.enqueue(TOPIC, 1),
      queue.enqueue(TOPIC, large),
      queue.enqueue(TOPIC, 3),
    ]);
    expect(answers).toMatchObject([
      { value: { accepted: 'redis' } },
      {
        reason: { code: 'QUEUE_JOB_POISON', reason: expect.stringMatching(/proto-max-bulk-len/u) },
      },
      { value: { accepted: 'redis' } },
    ]);
    await fixture.redis.kill();
    await queue.enqueue(TOPIC, 4);
    await queue.enqueue(TOPIC, large, { jobId: 'large' });
    await queue.enqueue(TOPIC, 6);
    await fixture.redis.start();
    await untilDirect(queue);
    expect(await queue.poisonJobs(TOPIC).list()).toMatchObject([{ id: 'large' }]);
    const handled: unknown[] = [];
    queue.process(TOPIC, ({ payload }) => void handled.push(payload), { concurrency: 1 });
    await waitUntil(async () => handled.includes(6));
    expect(handled).toEqual([1, 3, 4, 6]);
    await fixture.admin((client) => client.config('SET', 'proto-max-bulk-len', '4mb'));
    await queue.poisonJobs(TOPIC).redrive();
    await waitUntil(async () => handled.includes(large));
  } finally {
    await fixture.close();
  }
});
