import { expect, test } from '@jest/globals';
import type { Queue } from '@holdfast/queue';
import { nextEvent } from '@holdfast/foundation';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

async function withFixture(run: (fixture: RedisFixture) => Promise<void>): Promise<void> {
  const fixture = await openRedisFixture({});
  try {
    await run(fixture);
  } finally {
    await fixture.close();
  }
}

/** A queue behind a link of this many bytes per second towards Redis. */
async function slowQueue(fixture: RedisFixture, bytesPerSecond: number): Promise<Queue> {
  const proxy = await fixture.proxy();
  const queue = fixture.queue({
    directory: await fixture.directory(),
    redis: { url: `redis://${proxy.host}:${proxy.port}` },
  });
  await queue.ready();
  proxy.faults.set('bandwidth', { bytesPerSecond, direction: 'toServer' });
  return queue;
}

test.each([
  { bytes: 900_000, bytesPerSecond: 600_000 },
  { bytes: 150_000, bytesPerSecond: 60_000 },
])(
  'a job of $bytes bytes is sent over a link of $bytesPerSecond bytes per second, and other topics go on',
  async ({ bytes, bytesPerSecond }) => {
    await withFixture(async (fixture) => {
      const queue = await slowQueue(fixture, bytesPerSecond);
      const handled: string[] = [];
      const worker = fixture.queue({ fallback: 'memory' });
      worker.process(TOPIC, ({ payload }) => void handled.push(`large ${String(payload).length}`));
      worker.process('other', ({ payload }) => void handled.push(`small ${String(payload)}`));
      await queue.enqueue(TOPIC, 'x'.repeat(bytes));
      await queue.enqueue('other', 1);
      await waitUntil(() => handled.length === 2);
      expect(handled.toSorted()).toEqual([`large ${bytes}`, 'small 1']);
      await untilDirect(queue);
      await queue.enqueue(TOPIC, 'x'.repeat(bytes));
      await waitUntil(() => handled.length === 3);
    });
  },
);

test('megabytes of jobs that Redis has lost are sent again over a slow link, while other topics go on', async () => {
  await withFixture(async (fixture) => {
    const proxy = await fixture.proxy();
    const queue = fixture.queue({
      directory: await fixture.directory(),
      redis: { url: `redis://${proxy.host}:${proxy.port}` },
      retainMs: 60_000,
    });
    const jobs = Array.from({ length: 400 }, (_, job) => ({
      payload: `${job}`.padEnd(20_000, '.'),
    }));
    await queue.enqueueMany(TOPIC, jobs);
    proxy.faults.set('bandwidth', { bytesPerSecond: 2_000_000, direction: 'toServer' });
    const lost = nextEvent(queue, 'server-lost-jobs');
    await fixture.redis.kill();
    await fixture.redis.start();
    expect(await lost).toMatchObject({ jobs: 400, resent: 400 });
    await queue.enqueue('other', 1);
    await untilDirect(queue);
    const { waiting } = await queue.inspect(TOPIC).counts();
    expect(waiting).toBe(400);
    expect((await queue.inspect('other').counts()).waiting).toBe(1);
    expect(queue.getStats().dataLoss.count).toBe(1);
  });
});
