import { expect, test } from '@jest/globals';
import { nextEvent, sleep } from '@holdfast/foundation';
import type { Subscription } from '../../src/backend.ts';
import { BackendError } from '../../src/errors.ts';
import type { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, upQueues } from '../open-queue.ts';

const openUp = upQueues();

/** Changes what a consumer's connection does. */
function rewire(backend: FakeBackend, change: (subscription: Subscription) => object): void {
  const subscribe = backend.subscribe.bind(backend);
  backend.subscribe = (topic, leaseMs) => {
    const subscription = subscribe(topic, leaseMs);
    return { ...subscription, ...change(subscription) };
  };
}

const entriesOf = ({ backend }: TestQueue) => backend.topics.get('t')?.entries ?? [];

test('a job that the store hands out anew while it runs does not run beside itself', async () => {
  const one = await openUp();
  const { queue, clock } = one;
  const runs: string[] = [];
  const release: (() => void)[] = [];
  const consumers = ['one', 'two'].map((name) =>
    queue.process(
      't',
      ({ id }) => {
        runs.push(id);
        return new Promise<void>((resolve) => release.push(resolve));
      },
      { name, concurrency: 2 },
    ),
  );
  await queue.enqueue('t', 1, { jobId: 'a' });
  await clock.advance(10);
  for (const entry of entriesOf(one)) delete entry.owner;
  for (let second = 0; second < 20; second += 1) await clock.advance(1_000);
  expect(runs).toEqual(['a']);
  const redelivered = consumers.map((consumer) => consumer.getStats().redelivered);
  expect(Math.max(...redelivered)).toBeGreaterThan(0);
  for (const end of release) end();
  for (let second = 0; second < 60; second += 1) await clock.advance(1_000);
  expect(runs).toEqual(['a']);
  expect(entriesOf(one)).toEqual([]);
});

test('a job that its processes died of is buried without a run, also while the burial is refused', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  const runs: unknown[] = [];
  backend.refuseSettling(new BackendError('busy', 'it is full'));
  const options = { maxAttempts: 3, concurrency: 2, leaseMs: 30_000 };
  await queue.enqueue('t', 1, { jobId: 'a' });
  for (const entry of entriesOf(one)) {
    Object.assign(entry, { owner: 'a dead consumer', leasedAtMs: -1_000_000, deliveries: 3 });
  }
  const buried = nextEvent(queue, 'dead-lettered');
  const consumers = ['one', 'two'].map((name) =>
    queue.process('t', ({ payload }) => void runs.push(payload), { ...options, name }),
  );
  expect(await clock.settle(buried)).toMatchObject({
    id: 'a',
    attempts: 3,
    reason: 'its process died: the handler never returned',
  });
  // The store loses the lease, and hands the job out once more.
  for (const entry of entriesOf(one)) delete entry.owner;
  for (let second = 0; second < 10; second += 1) await clock.advance(1_000);
  expect(runs).toEqual([]);
  backend.refuseSettling(undefined);
  for (let second = 0; second < 100; second += 1) await clock.advance(1_000);
  expect(runs).toEqual([]);
  const stats = consumers.map((consumer) => consumer.getStats());
  expect(stats.reduce((sum, { recovered }) => sum + recovered, 0)).toBeGreaterThan(0);
  expect(backend.dead.map(({ id }) => id)).toEqual(['a']);
});

test('of a job delivered as often as it may be tried, the last delivery runs', async () => {
  const one = await openUp();
  const { queue, clock } = one;
  await queue.enqueue('t', 1, { jobId: 'a' });
  for (const entry of entriesOf(one)) {
    Object.assign(entry, { owner: 'a dead consumer', leasedAtMs: -1_000_000, deliveries: 2 });
  }
  const attempts: number[] = [];
  const recovered = nextEvent(queue, 'recovered');
  queue.process('t', ({ attempt }) => void attempts.push(attempt), { maxAttempts: 3 });
  expect(await clock.settle(recovered)).toMatchObject({ id: 'a', attempt: 3 });
  await clock.advance(10);
  expect(attempts).toEqual([3]);
});

test('with whenExhausted block, a job is never buried for its processes', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  await queue.enqueue('t', 1, { jobId: 'a' });
  for (const entry of entriesOf(one)) {
    Object.assign(entry, { owner: 'a dead consumer', leasedAtMs: -1_000_000, deliveries: 9 });
  }
  const attempts: number[] = [];
  const options = { maxAttempts: 3, whenExhausted: 'block' } as const;
  queue.process('t', ({ attempt }) => void attempts.push(attempt), options);
  while (attempts.length === 0) await clock.advance(100);
  expect([attempts, backend.dead]).toEqual([[10], []]);
});

test.each([
  ['goes to another consumer', 'lost'],
  ['is left by a closing consumer', 'closed'],
])('with whenExhausted block, a failed job that %s is not tried again here', async (_, how) => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  let attempts = 0;
  const consumer = queue.process(
    't',
    () => {
      attempts += 1;
      throw new Error('no luck');
    },
    { maxAttempts: 1, whenExhausted: 'block', retryDelayMs: 60_000, leaseMs: 600_000 },
  );
  await queue.enqueue('t', 1);
  while (consumer.getStats().failed === 0) await clock.advance(10);
  if (how === 'lost') backend.steal('t');
  else await clock.settle(consumer.close({ deadlineMs: 500 }));
  for (let second = 0; second < 120; second += 1) await clock.advance(1_000);
  expect(attempts).toBe(1);
  expect(consumer.getStats()).toMatchObject({ running: 0, failed: 1 });
  expect(entriesOf(one)).toHaveLength(1);
});

test('a failed job that waits here and whose lease goes to another consumer is not tried again', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  backend.refuseSettling(new BackendError('busy', 'it is full'));
  let attempts = 0;
  const consumer = queue.process(
    't',
    () => {
      attempts += 1;
      throw new Error('no luck');
    },
    { retryDelayMs: 50_000, leaseMs: 600_000 },
  );
  await queue.enqueue('t', 1);
  while (consumer.getStats().waiting === 0) await clock.advance(10);
  backend.steal('t');
  for (let second = 0; second < 120; second += 1) await clock.advance(1_000);
  expect(attempts).toBe(1);
  expect(consumer.getStats().waiting).toBe(0);
});

test('jobs taken ahead whose leases go to another consumer are not started', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  // A read takes time, as over a network; otherwise no job would be taken ahead.
  rewire(backend, (subscription) => ({
    async fetch(max: number) {
      await sleep(clock, 1);
      return subscription.fetch(max);
    },
  }));
  const runs = new Set<unknown>();
  const release: (() => void)[] = [];
  let isStalling = false;
  const consumer = queue.process(
    't',
    async ({ payload }) => {
      runs.add(payload);
      isStalling ||= Number(payload) >= 200;
      if (isStalling) await new Promise<void>((resolve) => release.push(resolve));
      else await sleep(clock, 1);
    },
    { concurrency: 4, leaseMs: 30_000 },
  );
  const jobs = Array.from({ length: 220 }, (_, payload) => ({ payload }));
  await queue.enqueueMany('t', jobs);
  while (release.length < 4) await clock.advance(1);
  await clock.advance(10);
  const held = entriesOf(one).filter(({ owner }) => owner !== undefined);
  expect(held.length).toBeGreaterThan(4);
  const before = runs.size;
  backend.steal('t');
  for (const entry of entriesOf(one)) entry.owner ??= 'a thief';
  // Leases are renewed three times in one.
  await clock.advance(10_001);
  for (const end of release) end();
  await clock.advance(1_000);
  expect(runs.size).toBe(before);
  expect(consumer.getStats()).toMatchObject({ running: 0, unconfirmed: 0 });
});

test('no more jobs are taken while a thousand wait here for their retry', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  backend.refuseSettling(new BackendError('busy', 'it is full'));
  const attempts: number[] = [];
  const consumer = queue.process(
    't',
    ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error('not yet');
    },
    { concurrency: 10, retryDelayMs: 100_000, leaseMs: 3_000_000 },
  );
  const jobs = Array.from({ length: 1_200 }, (_, payload) => ({ payload }));
  await queue.enqueueMany('t', jobs);
  while (consumer.getStats().waiting < 1_000) await clock.advance(10);
  await clock.advance(10_000);
  // Those of one read may be more.
  expect(consumer.getStats().waiting).toBeLessThan(1_050);
  expect(consumer.getStats().failed).toBe(consumer.getStats().waiting);
  while (consumer.getStats().handled < 1_200) await clock.advance(1_000);
  expect(attempts.filter((attempt) => attempt === 1)).toHaveLength(1_200);
});

test('a consumer that the store refuses to give jobs says so, and when it gets some again', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  let refusal: Error | undefined = new BackendError('denied', 'NOPERM');
  rewire(backend, (subscription) => ({
    async fetch(max: number) {
      if (refusal !== undefined) throw refusal;
      return subscription.fetch(max);
    },
  }));
  const stalled = nextEvent(queue, 'consumer-stalled');
  const handled: unknown[] = [];
  const consumer = queue.process('t', ({ payload }) => void handled.push(payload));
  expect(await clock.settle(stalled)).toMatchObject({ topic: 't', errorClass: 'denied' });
  expect(consumer.getStats().stalled).toMatchObject({ error: 'NOPERM' });
  await queue.enqueue('t', 1);
  const resumed = nextEvent(queue, 'consumer-resumed');
  refusal = undefined;
  expect(await clock.settle(resumed)).toMatchObject({ topic: 't' });
  while (handled.length === 0) await clock.advance(10);
  expect(consumer.getStats()).not.toHaveProperty('stalled');
});

test('a closed consumer renews nothing and takes nothing more', async () => {
  const one = await openUp();
  const { queue, backend, clock } = one;
  let calls = 0;
  rewire(backend, (subscription) => ({
    async recover(...given: Parameters<Subscription['recover']>) {
      calls += 1;
      return subscription.recover(...given);
    },
    async fetch(max: number) {
      calls += 1;
      return subscription.fetch(max);
    },
  }));
  const handled: unknown[] = [];
  const consumer = queue.process('t', ({ payload }) => void handled.push(payload));
  await queue.enqueue('t', 1);
  while (handled.length === 0) await clock.advance(10);
  await clock.settle(consumer.close());
  const before = calls;
  await queue.enqueue('t', 2);
  for (let second = 0; second < 60; second += 1) await clock.advance(1_000);
  expect([calls, handled]).toEqual([before, [1]]);
});
