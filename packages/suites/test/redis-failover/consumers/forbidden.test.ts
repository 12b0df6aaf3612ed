import { expect, test } from '@jest/globals';
import type { Queue, QueueEvents } from '@holdfast/queue';
import { nextEvent } from '@holdfast/foundation';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 't';
const KEYS = ['jobs', 'jobs:*', 'mark:*', 'delayed', 'dead', 'id:*'];

/** The rights of a user that may use the keys of the topic but for these. */
function allKeysBut(...missing: string[]): string[] {
  const patterns = KEYS.filter((key) => !missing.includes(key));
  return ['resetkeys', ...patterns.map((key) => `~holdfast:{${TOPIC}}:${key}`)];
}

async function withQueue(
  rights: readonly string[],
  run: (queue: Queue, fixture: RedisFixture) => Promise<void>,
): Promise<void> {
  const fixture = await openRedisFixture({});
  try {
    const every = ['on', '>secret', '~*', '&*', '+@all'];
    await fixture.admin((client) => client.call('ACL', 'SETUSER', 'worker', ...every, ...rights));
    const { host, port } = fixture.redis;
    const redis = { url: `redis://worker:secret@${host}:${port}` };
    await run(fixture.queue({ redis, fallback: 'memory' }), fixture);
  } finally {
    await fixture.close();
  }
}

const permit = (fixture: RedisFixture): Promise<unknown> =>
  fixture.admin((client) => client.call('ACL', 'SETUSER', 'worker', 'allkeys', '+@all'));

const producerSays = (queue: Queue): boolean => {
  const { state, errorClass, lastError = '' } = queue.getStats();
  return state === 'blocked' && errorClass === 'denied' && /NOPERM|can't access/u.test(lastError);
};

const consumerSays = (queue: Queue): boolean => {
  const [stalled] = queue.health().stalledConsumers ?? [];
  return stalled?.errorClass === 'denied' && /NOPERM|can't access/u.test(stalled.error);
};

const bothSay = (queue: Queue): boolean => producerSays(queue) && consumerSays(queue);

test.each<[string, readonly string[], (queue: Queue) => boolean]>([
  ['no script, by its text or its hash', ['-eval', '-evalsha'], bothSay],
  ['no script by its text', ['-eval'], bothSay],
  ['nothing of scripts', ['-@scripting'], bothSay],
  ['other keys only', ['resetkeys', '~other:*'], bothSay],
  ['no key of delayed jobs', allKeysBut('delayed'), bothSay],
  ['no key of partitions and levels', allKeysBut('jobs:*'), consumerSays],
  ['no key of dead letters', allKeysBut('dead'), consumerSays],
  ['no key of marks', allKeysBut('mark:*'), producerSays],
  ['no key of ids', allKeysBut('id:*'), producerSays],
])(
  'a queue whose user may use %s says so, hangs nowhere, and goes on once it may',
  async (_, rights, says) => {
    await withQueue(rights, async (queue, fixture) => {
      const stalls: QueueEvents['consumer-stalled'][] = [];
      queue.on('consumer-stalled', (event) => stalls.push(event));
      const ended = new Set<unknown>();
      queue.on('dead-lettered', ({ id }) => ended.add(id));
      const handle = ({ payload }: { payload: unknown }): void => {
        if (payload === 'fails') throw new Error('as it should');
        ended.add(payload);
      };
      queue.process(TOPIC, handle, { maxAttempts: 1, leaseMs: 1_000 });
      // Each settles, in Redis or in the fallback.
      await queue.enqueue(TOPIC, 'plain');
      await queue.enqueue(TOPIC, 'fails', { jobId: 'fails' });
      await queue.enqueue(TOPIC, 'later', { delayMs: 20 });
      await queue.enqueue(TOPIC, 'first', { priority: 'high' });
      await waitUntil(() => says(queue));
      expect(queue.health().level).toBe('critical');
      expect(stalls.length > 0).toBe(consumerSays(queue));
      await permit(fixture);
      await waitUntil(() => queue.health().level === 'healthy');
      await waitUntil(() => ended.size === 4);
      expect(queue.getStats()).toMatchObject({ backlog: { jobs: 0 }, poisoned: 0 });
    });
  },
);

test('a queue whose user may use all keys of its topic needs no others', async () => {
  await withQueue(allKeysBut(), async (queue, fixture) => {
    const dead = nextEvent(queue, 'dead-lettered');
    const consumer = queue.process(TOPIC, () => Promise.reject(new Error('as it should')), {
      maxAttempts: 1,
    });
    await queue.enqueue(TOPIC, 1, { jobId: 'one', priority: 'high' });
    await dead;
    await fixture.untilHandled(TOPIC);
    expect(queue.health().level).toBe('healthy');
    await consumer.close();
    expect(await queue.deadLetters(TOPIC).redrive()).toBe(1);
    expect(await queue.inspect(TOPIC).counts()).toMatchObject({ waiting: 1, dead: 0 });
  });
});

/** The rights of a user that may use these keys of partitions and levels only. */
function subkeys(...keys: string[]): string[] {
  return [...allKeysBut('jobs:*'), ...keys.map((key) => `~holdfast:{${TOPIC}}:jobs:${key}`)];
}

test('a producer that may not notify consumers adds each job once all the same', async () => {
  await withQueue(subkeys('layout', 'high'), async (queue, fixture) => {
    for (let job = 0; job < 5; job += 1) {
      await queue.enqueue(TOPIC, job, { priority: 'high' });
    }
    await permit(fixture);
    await waitUntil(() => queue.state === 'direct');
    const added = await fixture.admin((client) => client.xlen(`holdfast:{${TOPIC}}:jobs:high`));
    expect(added).toBe(5);
  });
});

test('of jobs sent together, the one whose stream is forbidden is rejected with the reason, and the others are added once', async () => {
  await withQueue(subkeys('layout', 'notify'), async (queue, fixture) => {
    await queue.ready();
    const others = [1, 2, 3].map((job) => queue.enqueue(TOPIC, job));
    const forbidden = queue.enqueue(TOPIC, 'forbidden', { priority: 'high' });
    const reason = expect.stringMatching(/can't access|NOPERM/u);
    await expect(forbidden).rejects.toMatchObject({ code: 'QUEUE_JOB_POISON', reason });
    expect(await Promise.all(others)).toMatchObject(others.map(() => ({ accepted: 'redis' })));
    expect(await queue.enqueue(TOPIC, 4)).toMatchObject({ accepted: 'redis' });
    const added = await fixture.admin((client) => client.xlen(`holdfast:{${TOPIC}}:jobs`));
    expect(added).toBe(4);
  });
});
