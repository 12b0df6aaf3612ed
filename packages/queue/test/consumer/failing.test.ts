import { afterEach, expect, test } from '@jest/globals';
import { sleep, systemClock as clockOfTests } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { BackendError } from '../../src/errors.ts';
import { createMemoryBackend, createQueueOn } from '../../src/index.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  const all = opened.splice(0);
  for (const { queue, clock } of all) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
  // Some share a clock.
  for (const { clock } of all) expect(clock.pendingTimers).toBe(0);
});

async function openUp(server?: FakeBackend, clock = createFakeClock()): Promise<TestQueue> {
  const topics = { keyed: { partitions: 2 } };
  const opening = openTestQueue({ topics, clock }, server, clock);
  opened.push(opening);
  opening.backend.up();
  await opening.queue.ready();
  return opening;
}

test.each([
  ['by the store', undefined],
  ['by the consumer, when the store is full', new BackendError('busy', 'it is full')],
])('failed jobs are put aside %s: healthy ones do not wait for them', async (_, refusal) => {
  const { queue, backend, clock } = await openUp();
  backend.refuseSettling(refusal);
  const handled: { payload: unknown; attempt: number; atMs: number }[] = [];
  const consumer = queue.process(
    't',
    ({ payload, attempt }) => {
      if (payload === 'failing' && attempt === 1) throw new Error('not yet');
      handled.push({ payload, attempt, atMs: clock.now() });
    },
    { concurrency: 2, retryDelayMs: 3_000 },
  );
  const startedMs = clock.now();
  const failing = Array.from({ length: 5 }, () => ({ payload: 'failing' }));
  await queue.enqueueMany('t', [...failing, { payload: 'healthy' }]);
  while (handled.length === 0) await clock.advance(10);
  expect(handled).toMatchObject([{ payload: 'healthy' }]);
  expect(clock.now() - startedMs).toBeLessThan(500);
  expect(consumer.getStats()).toMatchObject({ failed: 5, running: 0 });
  const { delayed } = await queue.inspect('t').counts();
  expect(delayed + consumer.getStats().waiting).toBe(5);
  while (handled.length < 6) await clock.advance(100);
  expect(handled.slice(1).map(({ attempt }) => attempt)).toEqual([2, 2, 2, 2, 2]);
  expect(Math.min(...handled.slice(1).map(({ atMs }) => atMs)) - startedMs).toBeGreaterThan(2_500);
});

test('a failed job of a key waits with its key alone, and leaves its slot to others', async () => {
  const { queue, clock } = await openUp();
  const handled: unknown[] = [];
  queue.process(
    'keyed',
    ({ payload, attempt }) => {
      if (payload === 'a1' && attempt === 1) throw new Error('not yet');
      handled.push(payload);
    },
    { concurrency: 1, retryDelayMs: 3_000 },
  );
  // With two partitions, these keys have one each.
  const jobs = ['a1', 'a2', 'd1', 'd2'].map((payload) => ({ payload, key: payload.slice(0, 1) }));
  await queue.enqueueMany('keyed', jobs);
  for (let round = 0; round < 20; round += 1) await clock.advance(10);
  expect(handled).toEqual(['d1', 'd2']);
  while (handled.length < 4) await clock.advance(100);
  expect(handled).toEqual(['d1', 'd2', 'a1', 'a2']);
});

test('with whenExhausted block and concurrency 1, the jobs behind a failing one wait for it', async () => {
  const { queue, clock } = await openUp();
  const handled: unknown[] = [];
  queue.process(
    't',
    ({ payload, attempt }) => {
      if (payload === 1 && attempt < 5) throw new Error('not yet');
      handled.push(payload);
    },
    { concurrency: 1, maxAttempts: 2, retryDelayMs: 100, whenExhausted: 'block' },
  );
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  while (handled.length < 2) await clock.advance(100);
  expect(handled).toEqual([1, 2]);
});

test('the attempts of a dead letter are the runs of its handler, whatever the consumers', async () => {
  const clock = createFakeClock();
  const server = new FakeBackend(undefined, clock);
  const [one, two] = [await openUp(server, clock), await openUp(server, clock)];
  const attempts: number[] = [];
  for (const { queue } of [one, two]) {
    queue.process(
      't',
      ({ attempt }) => {
        attempts.push(attempt);
        throw new Error('no luck');
      },
      { maxAttempts: 5, retryDelayMs: 10 },
    );
  }
  await one.queue.enqueue('t', 1);
  while (one.backend.dead.length + two.backend.dead.length === 0) await clock.advance(10);
  expect(attempts).toEqual([1, 2, 3, 4, 5]);
  const letters = await Promise.all([one, two].map(({ queue }) => queue.deadLetters('t').list()));
  expect(letters.flat()).toMatchObject([{ attempts: 5 }]);
});

test('the reason, stack and history of a dead letter are bounded, and the stack says where it failed', async () => {
  const queue = createQueueOn(createMemoryBackend());
  const failing = queue.process(
    't',
    () => {
      throw new Error('x'.repeat(100_000));
    },
    { maxAttempts: 1 },
  );
  await queue.enqueue('t', 1, { jobId: 'a' });
  const letters = queue.deadLetters('t');
  for (let round = 0; round < 15; round += 1) {
    while ((await letters.list()).length === 0) await sleep(clockOfTests, 1);
    const [letter] = await letters.list();
    expect(letter?.reason.length).toBeLessThanOrEqual(1_000);
    expect(letter?.stack?.length).toBeLessThanOrEqual(8_000);
    expect(letter?.history.length).toBe(Math.min(round, 9));
    if (round < 14) await letters.redrive();
  }
  await failing.close();
  queue.process(
    'u',
    () => {
      throw new TypeError('short');
    },
    { maxAttempts: 1 },
  );
  await queue.enqueue('u', 1);
  const others = queue.deadLetters('u');
  while ((await others.list()).length === 0) await sleep(clockOfTests, 1);
  const [letter] = await others.list();
  expect(letter).toMatchObject({ reason: 'TypeError: short', attempts: 1 });
  expect(letter?.stack).toContain('failing.test.ts');
  await queue.close();
});

test.each([0, 1])(
  'of maxDeadLetters and %i more, the newest maxDeadLetters are kept',
  async (more) => {
    const maxDeadLetters = 5;
    const queue = createQueueOn(createMemoryBackend({ maxDeadLetters }));
    const count = maxDeadLetters + more;
    const consumer = queue.process(
      't',
      () => {
        throw new Error('no luck');
      },
      { maxAttempts: 1, concurrency: 1 },
    );
    await queue.enqueueMany(
      't',
      Array.from({ length: count }, (_, payload) => ({ payload })),
    );
    while (consumer.getStats().deadLettered < count) await sleep(clockOfTests, 1);
    await consumer.close();
    const listed = (await queue.deadLetters('t').list()).map(({ payload }) => payload);
    expect(listed).toEqual(Array.from({ length: maxDeadLetters }, (_, n) => n + more));
    await queue.close();
  },
);
