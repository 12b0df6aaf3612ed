import { expect, test } from '@jest/globals';
import type { Queue, QueueEvents } from '@holdfast/queue';
import { nextEvent } from '@holdfast/foundation';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

async function withFixture(run: (fixture: RedisFixture) => Promise<void>): Promise<void> {
  const fixture = await openRedisFixture({});
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

/** A user of its own, with these rights besides all others. */
async function queueAs(fixture: RedisFixture, ...rights: string[]): Promise<Queue> {
  await fixture.admin((client) =>
    client.call('ACL', 'SETUSER', 'worker', 'on', '>secret', '~*', '&*', '+@all', ...rights),
  );
  const { host, port } = fixture.redis;
  return fixture.queue({
    redis: { url: `redis://worker:secret@${host}:${port}` },
    fallback: 'memory',
  });
}

function permit(fixture: RedisFixture): Promise<unknown> {
  return fixture.admin((client) => client.call('ACL', 'SETUSER', 'worker', '+@all'));
}

test.each([
  ['XREADGROUP', 'take jobs'],
  ['XPENDING', 'renew leases'],
  ['XACK', 'acknowledge jobs'],
])(
  'a consumer whose user may not run %s (to %s) says so, and goes on once it may',
  async (command) => {
    await withFixture(async (fixture) => {
      const queue = await queueAs(fixture, `-${command.toLowerCase()}`);
      await queue.ready();
      const stalled = nextEvent(queue, 'consumer-stalled');
      const consumer = queue.process('t', () => undefined);
      await queue.enqueue('t', 1);
      await expect(stalled).resolves.toMatchObject({ topic: 't', errorClass: 'denied' });
      const stall = { errorClass: 'denied', error: expect.stringMatching(/NOPERM|can't run/u) };
      expect(consumer.getStats().stalled).toMatchObject(stall);
      expect(queue.health()).toMatchObject({
        state: 'direct',
        level: 'critical',
        stalledConsumers: [{ topic: 't', ...stall }],
      });
      const resumed: Promise<QueueEvents['consumer-resumed']> = nextEvent(
        queue,
        'consumer-resumed',
      );
      await permit(fixture);
      await resumed;
      await fixture.untilHandled('t');
      await waitUntil(() => queue.health().level === 'healthy');
      expect(consumer.getStats().stalled).toBeUndefined();
    });
  },
);

test('a consumer for which Redis has no connection left says so', async () => {
  await withFixture(async (fixture) => {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    await fixture.admin(async (client) => {
      // This client and the producer's.
      await client.config('SET', 'maxclients', '2');
      const stalled = nextEvent(queue, 'consumer-stalled');
      const consumer = queue.process('t', () => undefined);
      await expect(stalled).resolves.toMatchObject({
        error: expect.stringContaining('max number'),
      });
      expect(queue.health().level).not.toBe('healthy');
      await client.config('SET', 'maxclients', '100');
      await waitUntil(() => consumer.getStats().stalled === undefined);
    });
  });
});

test('a consumer that starts on a full Redis handles the jobs in it: the producer has made its group', async () => {
  await withFixture(async (fixture) => {
    const options = { fallback: 'memory', topics: { keyed: { partitions: 2 } } } as const;
    const producer = fixture.queue(options);
    await producer.ready();
    await producer.enqueue('plain', 1);
    await producer.enqueue('plain', 1, { priority: 'high' });
    await producer.enqueue('keyed', 1, { key: 'a' });
    await fixture.admin((client) => client.config('SET', 'maxmemory', '1'));
    const queue = fixture.queue(options);
    const handled: string[] = [];
    queue.process('plain', ({ topic }) => void handled.push(topic));
    queue.process('keyed', ({ topic }) => void handled.push(topic));
    await waitUntil(() => handled.length === 3);
    await fixture.untilHandled('plain');
    expect(handled.toSorted()).toEqual(['keyed', 'plain', 'plain']);
  });
});

test('a consumer whose group cannot be made in a full Redis says so', async () => {
  await withFixture(async (fixture) => {
    await fixture.admin((client) => client.config('SET', 'maxmemory', '1'));
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const stalled = nextEvent(queue, 'consumer-stalled');
    const resumed = nextEvent(queue, 'consumer-resumed');
    queue.process('t', () => undefined);
    await expect(stalled).resolves.toMatchObject({ topic: 't', errorClass: 'busy' });
    expect(queue.health()).toMatchObject({ level: 'degraded' });
    await fixture.admin((client) => client.config('SET', 'maxmemory', '0'));
    await resumed;
  });
});
