import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import * as v from 'valibot';
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

test('the output of a topic’s schema is enqueued, and an invalid payload is rejected with its path', async () => {
  const schema = v.object({ to: v.pipe(v.string(), v.trim()), tags: v.array(v.string()) });
  const opening = openTestQueue({ topics: { t: { schema } } });
  opened.push(opening);
  const { queue, backend } = opening;
  backend.up();
  await queue.enqueue('t', { to: ' ada ', tags: ['a'] });
  expect(backend.applied.get('t')).toEqual(['{"to":"ada","tags":["a"]}']);
  const violation = { code: 'QUEUE_SCHEMA_VIOLATION', issues: [{ path: 'payload.tags[0]' }] };
  await expect(queue.enqueue('t', { to: 'x', tags: [1] })).rejects.toMatchObject(violation);
  const many = [{ payload: { to: 'x', tags: [] } }, { payload: { to: 'y', tags: [1] } }];
  await expect(queue.enqueueMany('t', many)).rejects.toMatchObject(violation);
  expect(backend.applied.get('t')).toHaveLength(1);
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
