import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { BackendError } from '../../src/errors.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

const gone = new BackendError('unreachable', 'connection refused');

/** A queue whose Redis is down, with a fallback for this many jobs. */
async function openAway(options: Parameters<typeof openTestQueue>[0]): Promise<TestQueue> {
  const opening = openTestQueue(options);
  opened.push(opening);
  await opening.backend.opened;
  opening.backend.failAttempt(gone);
  return opening;
}

function numbers({ backend }: TestQueue): number[] {
  return (backend.applied.get('t') ?? []).map(Number);
}

test('jobs that wait for room are submitted in order once Redis has accepted others', async () => {
  const one = await openAway({ maxBacklogJobs: 2, backpressure: 'wait' });
  const { queue, backend, clock } = one;
  const jobs = [1, 2, 3, 4, 5].map((job) => queue.enqueue('t', job));
  await jobs[1];
  await clock.advance(1_000);
  expect(queue.getStats()).toMatchObject({ backlog: { jobs: 2 }, pending: 0 });
  backend.up();
  await Promise.all(jobs);
  expect(numbers(one)).toEqual([1, 2, 3, 4, 5]);
});

test('a job that waits for room too long is rejected, and an aborted one is rejected at once', async () => {
  const options = { maxBacklogJobs: 1, backpressure: 'wait', backpressureTimeoutMs: 500 } as const;
  const { queue, clock } = await openAway(options);
  await queue.enqueue('t', 1);
  const leaving = new AbortController();
  const late = queue.enqueue('t', 2);
  const left = queue.enqueue('t', 3, { signal: leaving.signal });
  const reason = new Error('leaving');
  leaving.abort(reason);
  await expect(left).rejects.toBe(reason);
  await expect(clock.settle(late)).rejects.toMatchObject({ code: 'QUEUE_FULL', limit: 'fallback' });
  expect(clock.now()).toBeGreaterThanOrEqual(500);
});

test('with shed-oldest, the oldest jobs are dropped for newer ones, counted and reported', async () => {
  const one = await openAway({ maxBacklogJobs: 3, backpressure: 'shed-oldest' });
  const { queue, backend } = one;
  const shed: number[] = [];
  queue.on('shed', ({ jobs }) => shed.push(jobs));
  for (let job = 1; job <= 5; job += 1) await queue.enqueue('t', job);
  const { shed: count, backlog } = queue.getStats();
  expect(count).toBe(shed.reduce((sum, jobs) => sum + jobs, 0));
  expect(count + backlog.jobs).toBe(5);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(numbers(one)).toEqual([1, 2, 3, 4, 5].slice(count));
});

test('with shed-oldest, one job too many sheds one, and a batch as many as it needs', async () => {
  const { queue } = await openAway({ maxBacklogJobs: 700, backpressure: 'shed-oldest' });
  const payloads = (count: number): { payload: number }[] =>
    Array.from({ length: count }, (_, payload) => ({ payload }));
  await queue.enqueueMany('t', payloads(700));
  expect(queue.getStats()).toMatchObject({ shed: 0, backlog: { jobs: 700 } });
  await queue.enqueue('t', 'one more');
  expect(queue.getStats()).toMatchObject({ shed: 1, backlog: { jobs: 700 } });
  await queue.enqueueMany('t', payloads(30));
  expect(queue.getStats()).toMatchObject({ shed: 31, backlog: { jobs: 700 } });
});

test('with shed-oldest, a job sheds no more than the bytes it needs', async () => {
  const { queue } = await openAway({ maxBacklogBytes: 40_000, backpressure: 'shed-oldest' });
  const payload = 'x'.repeat(1_000);
  for (let job = 0; job < 60; job += 1) {
    await queue.enqueue('t', payload);
    const { shed, backlog } = queue.getStats();
    expect(shed + backlog.jobs).toBe(job + 1);
    expect(backlog.jobs).toBeGreaterThanOrEqual(Math.min(job + 1, 34));
  }
});

const BOUNDED = { backpressure: 'wait', topics: { t: { maxJobs: 2 } } } as const;

/** A queue whose Redis is up, with a full topic `t` and two jobs that wait for room in it. */
async function openFull(): Promise<TestQueue & { waiting: Promise<unknown>[] }> {
  const opening = openTestQueue(BOUNDED);
  opened.push(opening);
  const { queue, backend } = opening;
  await backend.opened;
  backend.up();
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  const waiting = [3, 4].map((job) => queue.enqueue('t', job));
  return { ...opening, waiting };
}

test('a full topic does not hold up the jobs of other topics', async () => {
  const one = await openFull();
  const { queue, clock, waiting } = one;
  await clock.advance(2_000);
  await queue.enqueue('other', 1);
  expect(one.backend.applied.get('other')).toEqual(['1']);
  expect(numbers(one)).toEqual([1, 2]);
  queue.process('t', () => undefined, { concurrency: 1 });
  await Promise.all(waiting);
});

test('jobs that wait for room in a full topic are accepted as soon as this process has handled others', async () => {
  const one = await openFull();
  const startedMs = one.clock.now();
  one.queue.process('t', () => undefined, { concurrency: 1 });
  // No time passes: only the consumer can wake them.
  await Promise.all(one.waiting);
  expect(one.clock.now()).toBe(startedMs);
  expect(numbers(one)).toEqual([1, 2, 3, 4]);
});

test('room that another process makes in a full topic is noticed within a second', async () => {
  const one = await openFull();
  const { clock, backend, waiting } = one;
  await clock.advance(10_000);
  const { queue: other, backend: theirs } = openTestQueue({}, backend, clock);
  theirs.up();
  await other.ready();
  const consumer = other.process('t', () => undefined, { concurrency: 1 });
  while (consumer.getStats().handled < 2 || consumer.getStats().unconfirmed > 0) await nextTurn();
  const settled: unknown[] = [];
  for (const job of waiting) void job.then((answer) => settled.push(answer));
  for (let step = 0; step < 20; step += 1) await clock.advance(50);
  expect(settled).toHaveLength(2);
  expect(numbers(one)).toEqual([1, 2, 3, 4]);
  await other.close();
});

test('many jobs that wait for room keep their order while it is made a little at a time', async () => {
  const one = await openFull();
  const jobs = Array.from({ length: 60 }, (_, index) => one.queue.enqueue('t', 5 + index));
  one.queue.process('t', () => undefined, { concurrency: 2 });
  await one.clock.settle(Promise.all([...one.waiting, ...jobs]));
  expect(numbers(one)).toEqual(Array.from({ length: 64 }, (_, index) => index + 1));
});

test('the bytes that wait in memory are limited', async () => {
  const opening = openTestQueue({ maxPendingBytes: 100 });
  opened.push(opening);
  const { queue, backend } = opening;
  const first = queue.enqueue('t', 'x'.repeat(90));
  await backend.opened;
  await expect(queue.enqueue('t', 'x'.repeat(90))).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'maxPendingBytes',
    retryAfterMs: expect.any(Number),
  });
  backend.up();
  await first;
});

test('a topic that holds maxJobs in Redis rejects further jobs, and keeps none of them', async () => {
  const opening = openTestQueue({ topics: { t: { maxJobs: 2 } } });
  opened.push(opening);
  const { queue, backend } = opening;
  backend.up();
  await queue.ready();
  const outcomes = await Promise.allSettled([1, 2, 3].map((job) => queue.enqueue('t', job)));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(outcomes[2]).toMatchObject({ reason: { code: 'QUEUE_FULL', limit: 'maxJobs' } });
  expect(numbers(opening)).toEqual([1, 2]);
  expect(queue.getStats()).toMatchObject({ acceptedByRedis: 2, pending: 0, state: 'direct' });
});

test('with an unsupported server every job is rejected, and none is kept', async () => {
  const opening = openTestQueue();
  opened.push(opening);
  const { queue, backend } = opening;
  const waiting = queue.enqueue('t', 1);
  const ready = queue.ready();
  await backend.opened;
  const refused = { code: 'QUEUE_SERVER_UNSUPPORTED', outcome: 'not-applied' };
  const all = Promise.allSettled([waiting, ready]);
  backend.failAttempt(new BackendError('unsupported', 'Redis 6.0.16 is too old'));
  for (const outcome of await all) expect(outcome).toMatchObject({ reason: refused });
  await expect(queue.enqueue('t', 2)).rejects.toMatchObject(refused);
  expect(queue.getStats()).toMatchObject({ state: 'blocked', backlog: { jobs: 0 }, pending: 0 });
});

test('closing waits for a list that is served in parts, also after an earlier one had to wait', async () => {
  const opening = openTestQueue({ ...BOUNDED, maxPendingJobs: 10 });
  const { queue, backend, clock } = opening;
  await backend.opened;
  backend.up();
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  const waiting = [3, 4].map((job) => queue.enqueue('t', job));
  await clock.advance(2_000);
  queue.process('t', () => undefined, { concurrency: 1 });
  await clock.settle(Promise.all(waiting));
  const jobs = Array.from({ length: 60 }, (_, payload) => ({ payload }));
  const accepted = queue.enqueueMany('u', jobs);
  const closed = queue.close({ deadlineMs: 60_000 });
  expect(await clock.settle(accepted)).toHaveLength(60);
  await clock.settle(closed);
  expect(backend.applied.get('u')).toHaveLength(60);
});
