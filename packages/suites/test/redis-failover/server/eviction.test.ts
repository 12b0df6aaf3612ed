import { expect, test } from '@jest/globals';
import type { Queue } from '@holdfast/queue';
import { nextEvent } from '@holdfast/foundation';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

async function withFixture(
  settings: Record<string, string>,
  run: (fixture: RedisFixture) => Promise<void>,
): Promise<void> {
  const fixture = await openRedisFixture(settings);
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

const statsOf = (fixture: RedisFixture, name: string): Promise<number> =>
  fixture.admin(async (client) => {
    const [, value] = new RegExp(`^${name}:(\\d+)`, 'mu').exec(await client.info()) ?? [];
    return Number(value);
  });

/** Fills the memory until Redis has evicted every key that it may. */
async function fillUp(fixture: RedisFixture): Promise<void> {
  await fixture.admin(async (client) => {
    await client.set('volatile', 'x', 'EX', 1_000);
    await client.config('SET', 'maxmemory', String(await statsOf(fixture, 'used_memory')));
    for (let key = 0; key < 10_000; key += 1) {
      const isTaken = await client.set(`filler-${key}`, 'x'.repeat(10_000)).then(
        () => true,
        () => false,
      );
      if (!isTaken) break;
    }
    expect(await client.exists('volatile')).toBe(0);
    const fillers = await client.keys('filler-*');
    if (fillers.length > 0) await client.del(...fillers);
    await client.config('SET', 'maxmemory', '0');
  });
}

test.each(['volatile-lru', 'allkeys-lru'])(
  'with maxmemory-policy %s a queue warns and is degraded, until the policy keeps all keys',
  async (policy) => {
    await withFixture({ 'maxmemory-policy': policy }, async (fixture) => {
      const queue = fixture.queue({ directory: await fixture.directory() });
      const warned = nextEvent(queue, 'eviction-possible');
      await queue.ready();
      expect(await warned).toMatchObject({ policy });
      expect(queue.health()).toMatchObject({ level: 'degraded', evictionPolicy: policy });
      expect(queue.getStats()).toMatchObject({ state: 'direct', evictionPolicy: policy });
      await fixture.admin((client) => client.config('SET', 'maxmemory-policy', 'noeviction'));
      await fixture.admin((client) =>
        client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
      );
      await waitUntil(() => queue.health().level === 'healthy');
      expect(queue.health().evictionPolicy).toBeUndefined();
    });
  },
);

test('a queue that may not read the policy works, and says nothing of it', async () => {
  await withFixture({ 'maxmemory-policy': 'volatile-lru' }, async (fixture) => {
    await fixture.admin((client) =>
      client.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '+@all', '-config', '-info'),
    );
    const { host, port } = fixture.redis;
    const queue = fixture.queue({
      directory: await fixture.directory(),
      redis: { url: `redis://app:pw@${host}:${port}` },
    });
    expect(await queue.enqueue(TOPIC, 1)).toMatchObject({ accepted: 'redis' });
    expect(queue.health()).toMatchObject({ level: 'healthy' });
  });
});

test('with a volatile policy, a full Redis forgets no mark: every job is handled once', async () => {
  await withFixture({ 'maxmemory-policy': 'volatile-lru' }, async (fixture) => {
    const queue = fixture.queue({ directory: await fixture.directory(), retainMs: 60_000 });
    const handled: unknown[] = [];
    const worker: Queue = fixture.queue({ fallback: 'memory' });
    const warned = nextEvent(queue, 'eviction-possible');
    await queue.ready();
    await warned;
    const jobs = (from: number): { payload: number }[] =>
      Array.from({ length: 200 }, (_, job) => ({ payload: from + job }));
    await queue.enqueueMany(TOPIC, jobs(0));
    // Another process handles them, which remembers nothing for the next one.
    worker.process(TOPIC, ({ payload }) => void handled.push(payload), { maxRememberedJobs: 0 });
    await waitUntil(() => handled.length === 200);
    await fillUp(fixture);
    await queue.enqueueMany(TOPIC, jobs(200));
    await waitUntil(() => handled.length >= 400);
    await fixture.untilHandled(TOPIC);
    expect(handled.toSorted((one, other) => Number(one) - Number(other))).toEqual(
      jobs(0)
        .concat(jobs(200))
        .map(({ payload }) => payload),
    );
    expect(queue.getStats().dataLoss.count).toBe(0);
    await queue.close();
    // What a closed queue leaves behind expires.
    const marks = await fixture.admin((client) => client.keys('holdfast:*:mark:*'));
    expect(marks.length).toBeGreaterThan(0);
    for (const mark of marks) {
      expect(await fixture.admin((client) => client.pttl(mark))).toBeGreaterThan(0);
    }
  });
});

/** Leaves Redis without room for any key, so that it evicts all of them, then makes room again. */
async function evictAll(fixture: RedisFixture): Promise<void> {
  await fixture.admin(async (client) => {
    await client.config('SET', 'maxmemory', '1');
    await waitUntil(async () => (await client.keys('holdfast:*')).length === 0);
    await client.config('SET', 'maxmemory', '0');
    expect(await statsOf(fixture, 'evicted_keys')).toBeGreaterThan(1);
  });
}

test('with an allkeys policy, what is retained is sent again after everything was evicted, and the consumers go on', async () => {
  await withFixture({ 'maxmemory-policy': 'allkeys-lru' }, async (fixture) => {
    const queue = fixture.queue({ directory: await fixture.directory(), retainMs: 60_000 });
    const worker = fixture.queue({ fallback: 'memory' });
    const runs = new Map<unknown, number>();
    const options = { maxRememberedJobs: 0, leaseMs: 1_000 };
    worker.process(
      TOPIC,
      ({ payload }) => void runs.set(payload, (runs.get(payload) ?? 0) + 1),
      options,
    );
    const enqueue = (prefix: string): Promise<unknown> => {
      const jobs = Array.from({ length: 100 }, (_, job) => ({ payload: `${prefix} ${job}` }));
      return queue.enqueueMany(TOPIC, jobs);
    };
    await enqueue('handled');
    await waitUntil(() => runs.size === 100);
    await fixture.untilHandled(TOPIC);
    const lost = nextEvent(queue, 'server-lost-jobs');
    await evictAll(fixture);
    await enqueue('later');
    expect(await lost).toMatchObject({ jobs: 100, resent: 100 });
    await waitUntil(() => runs.size === 200);
    await fixture.untilHandled(TOPIC);
    await enqueue('last');
    await waitUntil(() => runs.size === 300);
    // As often as documented: the resent ones twice, as nobody remembers them here, and no other.
    for (const [payload, count] of runs) {
      expect(count).toBeLessThanOrEqual(String(payload).startsWith('handled') ? 2 : 1);
    }
    expect(worker.health()).not.toHaveProperty('stalledConsumers');
    expect(queue.health()).toMatchObject({ level: 'degraded', evictionPolicy: 'allkeys-lru' });
  });
});

test('with an allkeys policy, a topic whose stream was evicted loses at most what was in it, and goes on', async () => {
  await withFixture({ 'maxmemory-policy': 'allkeys-lru' }, async (fixture) => {
    const queue = fixture.queue({ directory: await fixture.directory() });
    const worker = fixture.queue({ fallback: 'memory' });
    const handled: unknown[] = [];
    await queue.enqueue(TOPIC, 'evicted');
    // As the server evicts: one key goes, the others stay.
    await fixture.admin((client) => client.unlink(`holdfast:{${TOPIC}}:jobs`));
    worker.process(TOPIC, ({ payload }) => void handled.push(payload));
    const later = Array.from({ length: 50 }, (_, payload) => ({ payload }));
    await queue.enqueueMany(TOPIC, later);
    await waitUntil(() => handled.length >= later.length);
    await fixture.admin((client) => client.unlink(`holdfast:{${TOPIC}}:jobs`));
    await queue.enqueue(TOPIC, 'last');
    await waitUntil(() => handled.includes('last'));
    await fixture.untilHandled(TOPIC);
    expect(handled.filter((payload) => payload !== 'evicted')).toEqual([
      ...later.map(({ payload }) => payload),
      'last',
    ]);
  });
});
