import { expect, test } from '@jest/globals';
import { createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import { openRedisFixture } from '../../../src/redis-fixture.ts';

test('a URL names a database by its path or by ?db=, and one that Redis does not have is refused', async () => {
  const fixture = await openRedisFixture({});
  const { url } = fixture.redis;
  try {
    for (const [at, db] of [
      ['/3', 3],
      ['?db=4', 4],
      ['/5?db=5', 5],
    ] as const) {
      const redis = { url: `${url}${at}` };
      const queue = fixture.queue({ redis, fallback: 'memory' });
      await expect(queue.enqueue('t', at)).resolves.toMatchObject({ accepted: 'redis' });
      const jobs = await fixture.admin(async (client) => {
        await client.select(db);
        return client.xlen('holdfast:{t}:jobs');
      });
      expect([at, jobs]).toEqual([at, 1]);
    }
    expect(await fixture.admin((client) => client.dbsize())).toBe(0);
    for (const at of ['/99', '?db=99']) {
      const redis = { url: `${url}${at}` };
      const bullmq = createQueueOn(createBullmqBackend({ redis }), { fallback: 'memory' });
      const queue = fixture.queue({ redis, fallback: 'memory' });
      const refused: unknown = expect.objectContaining({
        code: 'QUEUE_SERVER_UNSUPPORTED',
        message: expect.stringContaining('no database 99'),
      });
      await expect(queue.ready()).rejects.toEqual(refused);
      await expect(queue.enqueue('t', 1)).rejects.toEqual(refused);
      await expect(bullmq.enqueue('t', 1)).rejects.toEqual(refused);
      await bullmq.close();
    }
  } finally {
    await fixture.close();
  }
});
