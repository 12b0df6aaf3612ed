import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { directClient, openRedisFixture } from '../../../src/redis-fixture.ts';
import { withClient } from '../../../src/queue-fixture.ts';
import { openSentinelFixture } from '../../../src/topologies.ts';

test('a job acknowledged as replicated is on the replicas when its enqueue resolves', async () => {
  const field = await openSentinelFixture({});
  try {
    const queue = field.queue({ fallback: 'memory', acknowledge: 'replicated', replicas: 2 });
    await queue.ready();
    for (let job = 1; job <= 20; job += 1) {
      await expect(queue.enqueue('t', job)).resolves.toMatchObject({ accepted: 'redis' });
      for (const { url } of field.redis.replicas) {
        const length = await withClient(directClient(url), (client) =>
          client.xlen('holdfast:{t}:jobs'),
        );
        expect(length).toBe(job);
      }
    }
  } finally {
    await field.close();
  }
});

test('while a replica is missing, jobs to be replicated wait in the fallback and the queue reports why', async () => {
  const field = await openSentinelFixture({});
  try {
    const [one] = field.redis.replicas;
    const queue = field.queue({
      fallback: 'memory',
      acknowledge: 'replicated',
      replicas: 2,
    });
    await queue.ready();
    await one?.freeze();
    await expect(queue.enqueue('t', 1)).resolves.toMatchObject({ accepted: 'memory' });
    expect(queue.getStats()).toMatchObject({
      state: 'buffering',
      errorClass: 'busy',
      lastError: expect.stringMatching(/of 2 replicas, only 1 had the jobs/u),
    });
    const direct = nextEvent(queue, 'state', { matches: ({ to }) => to === 'direct' });
    await one?.thaw();
    await direct;
    expect(queue.getStats()).toMatchObject({ backlog: { jobs: 0 }, drained: 1, alreadyApplied: 1 });
  } finally {
    await field.close();
  }
});

test('the option to wait for the disk is rejected on a Redis that cannot report it', async () => {
  const fixture = await openRedisFixture({ appendonly: 'yes' });
  try {
    const version = await fixture.admin((client) => client.info('server'));
    const queue = fixture.queue({
      fallback: 'memory',
      acknowledge: 'replicated',
      onDisk: true,
      replicas: 0,
    });
    const [, major = '', minor = ''] = /redis_version:(\d+)\.(\d+)/u.exec(version) ?? [];
    const canTell = Number(major) * 100 + Number(minor) >= 702;
    const outcomes = await Promise.allSettled([queue.ready(), queue.enqueue('t', 1)]);
    const refused = { reason: { code: 'QUEUE_SERVER_UNSUPPORTED' } };
    expect(outcomes).toMatchObject(
      canTell ? [{}, { value: { accepted: 'redis' } }] : [refused, refused],
    );
    expect(queue.state).toBe(canTell ? 'direct' : 'blocked');
    const keys = await fixture.admin((client) => client.dbsize());
    expect(keys > 0).toBe(canTell);
  } finally {
    await fixture.close();
  }
});
