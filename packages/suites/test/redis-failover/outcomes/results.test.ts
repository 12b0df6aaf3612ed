import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { TOPIC } from '../../../src/outage.ts';
import { AOF_NO_FSYNC, openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

test('the result of a job that ends while Redis is dead reaches the process that waits for it', async () => {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  try {
    const caller = fixture.queue({ directory: await fixture.directory() });
    const worker = fixture.queue({ fallback: 'memory' });
    await Promise.all([caller.ready(), worker.ready()]);
    const mayEnd = new AbortController();
    const started = Promise.withResolvers<void>();
    const consumer = worker.process(
      TOPIC,
      async ({ payload }) => {
        started.resolve();
        if (!mayEnd.signal.aborted) await once(mayEnd.signal, 'abort');
        return { handled: payload };
      },
      { keepResults: true },
    );
    const { id } = await caller.enqueue(TOPIC, 'during');
    const result = caller.result(TOPIC, id, { timeoutMs: 60_000 });
    await started.promise;
    await fixture.redis.kill();
    mayEnd.abort();
    await waitUntil(() => consumer.getStats().unconfirmed === 1);
    // One that is accepted by the journal has a result as well.
    const after = await caller.enqueue(TOPIC, 'journalled');
    expect(after.accepted).toBe('journal');
    const later = caller.result(TOPIC, after.id, { timeoutMs: 60_000 });
    await fixture.redis.start();
    expect(await result).toEqual({ handled: 'during' });
    expect(await later).toEqual({ handled: 'journalled' });
  } finally {
    await fixture.close();
  }
});

test('a result that Redis has lost together with its job is there again once the job is sent again', async () => {
  const fixture = await openRedisFixture({});
  try {
    const caller = fixture.queue({ fallback: 'memory', retainMs: 60_000 });
    const worker = fixture.queue({ fallback: 'memory' });
    await Promise.all([caller.ready(), worker.ready()]);
    let runs = 0;
    const consumer = worker.process(TOPIC, () => (runs += 1), { keepResults: true });
    const { id } = await caller.enqueue(TOPIC, 1);
    expect(await caller.result(TOPIC, id)).toBe(1);
    await waitUntil(() => consumer.getStats().unconfirmed === 0);
    await fixture.redis.kill();
    await fixture.redis.start();
    expect(await caller.result(TOPIC, id, { timeoutMs: 60_000 })).toBe(1);
    expect(runs).toBe(1);
  } finally {
    await fixture.close();
  }
});

test('a Redis that is full still ends jobs, with their results', async () => {
  const fixture = await openRedisFixture({ 'maxmemory-policy': 'noeviction' });
  try {
    const queue = fixture.queue({ fallback: 'memory' });
    await queue.ready();
    const mayEnd = new AbortController();
    const started = Promise.withResolvers<void>();
    const consumer = queue.process(
      TOPIC,
      async () => {
        started.resolve();
        if (!mayEnd.signal.aborted) await once(mayEnd.signal, 'abort');
        return 'kept';
      },
      { keepResults: true },
    );
    const { id } = await queue.enqueue(TOPIC, 1);
    await started.promise;
    await fixture.admin((client) => client.config('SET', 'maxmemory', '1'));
    mayEnd.abort();
    await waitUntil(
      () => consumer.getStats().unconfirmed === 0 && consumer.getStats().handled === 1,
    );
    await fixture.admin((client) => client.config('SET', 'maxmemory', '0'));
    expect(await queue.result(TOPIC, id)).toBe('kept');
    expect(await queue.inspect(TOPIC).counts()).toMatchObject({ pending: 0, waiting: 0 });
  } finally {
    await fixture.close();
  }
});
