import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { JobMemory, useJobMemory } from '../../src/consumer/job-memory.ts';
import { identityOf } from '../../src/redis/identity.ts';
import { parseRedisServer } from '../../src/redis/server-options.ts';
import { upQueues } from '../open-queue.ts';

const openUp = upQueues();

test('a job that a closed consumer has handled does not run again in this process', async () => {
  const { queue, backend, clock } = await openUp();
  const runs: string[] = [];
  const take = ({ id }: { id: string }): void => void runs.push(id);
  const first = queue.process('t', take);
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  while (runs.length < 2) await clock.advance(10);
  await clock.settle(first.close());
  const redelivered = nextEvent(queue, 'redelivered');
  const second = queue.process('t', take);
  backend.remember('t');
  await clock.settle(redelivered);
  await clock.advance(10);
  expect(runs).toHaveLength(2);
  expect(second.getStats()).toMatchObject({ handled: 0, redelivered: 2 });
  expect(backend.topics.get('t')?.entries).toEqual([]);
});

test('of two consumers, one does not run what the other runs or has handled', async () => {
  const { queue, backend, clock } = await openUp();
  const runs: string[] = [];
  const release: (() => void)[] = [];
  const take = ({ id }: { id: string }): Promise<void> => {
    runs.push(id);
    return new Promise((resolve) => release.push(resolve));
  };
  for (const name of ['one', 'two']) queue.process('t', take, { name, concurrency: 1 });
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  while (runs.length < 2) await clock.advance(10);
  // Redis has lost the deliveries, and hands the jobs out anew.
  for (const entry of backend.topics.get('t')?.entries ?? []) delete entry.owner;
  await clock.advance(10);
  for (const end of release) end();
  for (let round = 0; round < 20; round += 1) await clock.advance(1_000);
  expect(runs).toHaveLength(2);
});

test('a later job of the same id is another job', () => {
  const memory = new JobMemory();
  memory.grow(10);
  memory.handled({ id: 'nightly', enqueuedAtMs: 1 });
  expect(memory.wasHandled({ id: 'nightly', enqueuedAtMs: 1 })).toBe(true);
  expect(memory.wasHandled({ id: 'nightly', enqueuedAtMs: 2 })).toBe(false);
});

test('the largest bound of its consumers holds, and is not passed', () => {
  const store = {};
  const first = useJobMemory(store, 't', 2).memory;
  const job = (n: number): { id: string; enqueuedAtMs: number } => ({
    id: `${n}`,
    enqueuedAtMs: 0,
  });
  for (const n of [1, 2, 3]) first.handled(job(n));
  const { memory } = useJobMemory(store, 't', 3);
  for (const n of [4, 5]) memory.handled(job(n));
  expect([1, 2, 3, 4, 5].filter((n) => memory.wasHandled(job(n)))).toEqual([3, 4, 5]);
});

test('topics without a consumer are forgotten, the least recently used first', () => {
  const store = {};
  const job = { id: 'a', enqueuedAtMs: 0 };
  const kept = useJobMemory(store, 'used', 1);
  kept.memory.handled(job);
  for (let n = 0; n < 200; n += 1) {
    const { memory, release } = useJobMemory(store, `idle ${n}`, 1);
    memory.handled(job);
    release();
  }
  const known = (topic: string): boolean => useJobMemory(store, topic, 1).memory.wasHandled(job);
  expect(known('used')).toBe(true);
  expect(known('idle 199')).toBe(true);
  expect(known('idle 0')).toBe(false);
});

test('a store is named by its address without credentials, and by its prefix', () => {
  const named = (redis: unknown, prefix = 'p'): string =>
    identityOf(parseRedisServer('test', redis), prefix);
  const plain = named({ url: 'redis://host:1/2' });
  expect(named({ url: 'redis://user:secret@host:1/2' })).toBe(plain);
  expect(plain).not.toContain('secret');
  expect(named({ url: 'redis://host:1/3' })).not.toBe(plain);
  expect(named({ url: 'redis://host:1?db=2' })).toBe(plain);
  expect(named({ url: 'redis://host:1?db=3' })).not.toBe(plain);
  expect(named({ url: 'redis://host:1/2' }, 'q')).not.toBe(plain);
  const nodes = [{ host: 'a' }, { host: 'b' }];
  expect(named({ cluster: nodes })).toBe(named({ cluster: nodes.toReversed() }));
  expect(named({ sentinels: nodes, name: 'x' })).not.toBe(named({ sentinels: nodes, name: 'y' }));
  const connect = (): never => {
    throw new Error('not called');
  };
  expect(named({ connect })).toBe(named({ connect }));
  expect(named({ connect })).not.toBe(named({ connect: () => connect() }));
});
