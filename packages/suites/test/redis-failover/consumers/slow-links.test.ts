import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const JOBS = 50;
const JOB_BYTES = 200_000;

test.each([
  ['new jobs', false],
  ['jobs of a dead consumer', true],
])(
  '%s that take longer than the deadline of a command on a slow link are handled',
  async (_, isTakenOver) => {
    const fixture = await openRedisFixture({});
    try {
      const producer = fixture.queue({ fallback: 'memory' });
      await producer.ready();
      const payload = 'x'.repeat(JOB_BYTES);
      for (let n = 0; n < JOBS; n += 1) await producer.enqueue('t', payload);
      if (isTakenOver) {
        await fixture.admin(async (client) => {
          const read = [
            'GROUP',
            'holdfast',
            'dead',
            'COUNT',
            JOBS,
            'STREAMS',
            'holdfast:{t}:jobs',
            '>',
          ];
          await client.call('XREADGROUP', ...read);
        });
      }
      const proxy = await fixture.proxy();
      proxy.faults.set('bandwidth', { bytesPerSecond: 5_000_000 });
      const queue = fixture.queue({
        redis: { url: `redis://${proxy.host}:${proxy.port}` },
        fallback: 'memory',
        // All jobs at once take 2 s.
        commandTimeoutMs: 500,
      });
      let disconnects = 0;
      queue.on('disconnected', () => (disconnects += 1));
      await queue.ready();
      const ids: string[] = [];
      const startedMs = systemClock.now();
      queue.process('t', ({ id }) => void ids.push(id), { concurrency: JOBS, leaseMs: 2_000 });
      await waitUntil(() => ids.length >= JOBS, 30_000);
      expect(new Set(ids).size).toBe(JOBS);
      expect(ids).toHaveLength(JOBS);
      expect(disconnects).toBe(0);
      expect(systemClock.now() - startedMs).toBeLessThan(30_000);
    } finally {
      await fixture.close();
    }
  },
);

test('a large reply on a link slower than the deadline arrives, and silence in its middle ends the connection', async () => {
  const fixture = await openRedisFixture({});
  try {
    const producer = fixture.queue({ fallback: 'memory' });
    await producer.ready();
    await producer.enqueue('t', 'x'.repeat(1_000_000));
    const proxy = await fixture.proxy();
    proxy.faults.set('bandwidth', { bytesPerSecond: 600_000 });
    const queue = fixture.queue({
      redis: { url: `redis://${proxy.host}:${proxy.port}` },
      fallback: 'memory',
      commandTimeoutMs: 500,
    });
    await queue.ready();
    const [waiting] = await queue.inspect('t').peek('waiting');
    expect(String(waiting?.payload)).toHaveLength(1_000_000);
    const failed = queue
      .inspect('t')
      .peek('waiting')
      .catch((error: unknown) => error);
    proxy.faults.set('blackhole', { direction: 'toClient' });
    const startedMs = systemClock.now();
    await expect(failed).resolves.toMatchObject({
      message: expect.stringContaining('no answer within'),
    });
    // Within twice the deadline.
    expect(systemClock.now() - startedMs).toBeLessThan(1_000 + 500);
  } finally {
    await fixture.close();
  }
});
