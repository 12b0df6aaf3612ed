import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import type { Accepted, QueueOptions } from '../../src/index.ts';
import { BackendError, PartialEnqueueError } from '../../src/errors.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

const gone = new BackendError('unreachable', 'connection refused');

function open(options: Partial<QueueOptions>): TestQueue {
  const opening = openTestQueue(options);
  opened.push(opening);
  return opening;
}

/** A queue whose Redis is up. */
async function openUp(options: Partial<QueueOptions> = {}): Promise<TestQueue> {
  const opening = open(options);
  await opening.backend.opened;
  opening.backend.up();
  await opening.queue.ready();
  return opening;
}

function list(count: number, from = 1): { payload: number }[] {
  return Array.from({ length: count }, (_, index) => ({ payload: from + index }));
}

function numbers({ backend }: TestQueue, topic = 't'): number[] {
  return (backend.applied.get(topic) ?? []).map(Number);
}

function upTo(count: number, from = 1): number[] {
  return list(count, from).map(({ payload }) => payload);
}

/** The error of the work; undefined when there is none. */
function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Lets turns pass, but no time, until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

test('15 000 jobs, which are more than may be pending, are all accepted, each once and in order', async () => {
  const one = await openUp();
  const accepted = await one.queue.enqueueMany('t', list(15_000));
  expect(accepted).toHaveLength(15_000);
  expect(numbers(one)).toEqual(upTo(15_000));
});

test.each([99, 100, 101, 250, 1_000])(
  '%d jobs are accepted where 100 may be pending, and never more than 100 are',
  async (count) => {
    const one = await openUp({ maxPendingJobs: 100 });
    const { queue, backend } = one;
    let most = 0;
    backend.refuseJobs(() => {
      most = Math.max(most, queue.getStats().pending);
      return undefined;
    });
    const accepted = await queue.enqueueMany('t', list(count));
    expect(accepted.map(({ accepted: by }) => by)).toEqual(list(count).map(() => 'redis'));
    expect(numbers(one)).toEqual(upTo(count));
    expect(most).toBeLessThanOrEqual(100);
  },
);

test('jobs of more bytes than may be pending are all accepted', async () => {
  const one = await openUp({ maxPendingBytes: 1_000 });
  const jobs = Array.from({ length: 40 }, (_, job) => ({ payload: `${job}`.padEnd(120, '.') }));
  expect(await one.queue.enqueueMany('t', jobs)).toHaveLength(40);
  expect(one.backend.applied.get('t')).toHaveLength(40);
});

test('jobs enqueued after a long list of their topic stay behind it; other topics do not wait', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const { queue } = one;
  const first = queue.enqueueMany('t', list(300));
  const single = queue.enqueue('t', 301);
  const second = queue.enqueueMany('t', list(150, 302));
  await Promise.all([first, single, second]);
  await queue.enqueueMany('other', list(150));
  expect(numbers(one)).toEqual(upTo(451));
  expect(numbers(one, 'other')).toEqual(upTo(150));
});

test('lists of several topics at once are all accepted, each in order', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const topics = ['a', 'b', 'c', 'd'];
  const all = topics.map((topic) => one.queue.enqueueMany(topic, list(500)));
  await Promise.all(all);
  for (const topic of topics) expect(numbers(one, topic)).toEqual(upTo(500));
});

test('one invalid job of many rejects all of them before the first is sent', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const jobs = [...list(300), { payload: Number.NaN }];
  await expect(one.queue.enqueueMany('t', jobs)).rejects.toMatchObject({
    field: 'jobs[300].payload',
  });
  expect(numbers(one)).toEqual([]);
});

test('a list that finds no room at all is refused before its first job is sent', async () => {
  const one = open({ maxPendingJobs: 10 });
  const { queue, backend } = one;
  await backend.opened;
  const waiting = queue.enqueueMany('t', list(10));
  const refused = await failureOf(queue.enqueueMany('other', list(5)));
  expect(refused).toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'maxPendingJobs',
    outcome: 'not-applied',
    retryable: true,
  });
  backend.up();
  await waiting;
  expect(numbers(one, 'other')).toEqual([]);
});

test('when the fallback has room for some of the jobs only, the error tells which', async () => {
  const one = open({ maxPendingJobs: 100, maxBacklogJobs: 130 });
  const { queue, backend } = one;
  await backend.opened;
  backend.failAttempt(gone);
  const error = await failureOf(queue.enqueueMany('t', list(500)));
  expect(error).toBeInstanceOf(PartialEnqueueError);
  if (!(error instanceof PartialEnqueueError)) return;
  expect(error).toMatchObject({
    code: 'QUEUE_PARTIALLY_ENQUEUED',
    outcome: 'unknown',
    retryable: false,
    cause: { code: 'QUEUE_FULL', limit: 'fallback' },
  });
  expect(error.accepted).toHaveLength(130);
  expect(error.results).toHaveLength(500);
  const fulfilled = error.results.filter(({ status }) => status === 'fulfilled');
  expect(fulfilled).toHaveLength(130);
  expect(queue.getStats()).toMatchObject({ backlog: { jobs: 130 }, pending: 0 });
  expect(error.message).toMatch(/130 of 500/u);
  backend.up();
  await until(() => queue.state === 'direct');
  await queue.enqueueMany('t', list(1, 501));
  expect(numbers(one)).toEqual([...upTo(130), 501]);
});

test('a full topic takes the first jobs of a list, and the error tells which', async () => {
  const one = await openUp({ maxPendingJobs: 100, topics: { t: { maxJobs: 130 } } });
  const error = await failureOf(one.queue.enqueueMany('t', list(500)));
  expect(error).toMatchObject({ code: 'QUEUE_PARTIALLY_ENQUEUED', cause: { limit: 'maxJobs' } });
  expect(numbers(one)).toEqual(upTo(130));
  expect(error).toMatchObject({ accepted: { length: 130 } });
});

test('a poison job does not keep the jobs behind it from being sent', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  one.backend.refuseJobs(({ payload }) => (payload === '50' ? 'it is poison' : undefined));
  const error = await failureOf(one.queue.enqueueMany('t', list(300)));
  expect(error).toMatchObject({ cause: { code: 'QUEUE_JOB_POISON' } });
  expect(numbers(one)).toEqual(upTo(300).filter((job) => job !== 50));
});

test('an aborted list rejects with the reason at once, and sends nothing more', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const leaving = new AbortController();
  const reason = new Error('leaving');
  one.backend.refuseJobs(({ payload }) => {
    if (payload === '150') leaving.abort(reason);
    return undefined;
  });
  const many = one.queue.enqueueMany('t', list(1_000), { signal: leaving.signal });
  expect(await failureOf(many)).toBe(reason);
  await one.queue.enqueue('t', 1_001);
  const sent = numbers(one);
  expect(sent.length).toBeLessThan(400);
  expect(sent.slice(0, -1)).toEqual(upTo(sent.length - 1));
  expect(one.queue.getStats().pending).toBe(0);
});

test('a queue that is closed amid a list accepts the rest within the deadline', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const many = one.queue.enqueueMany('t', list(1_000));
  await one.queue.close();
  expect(await many).toHaveLength(1_000);
  expect(numbers(one)).toEqual(upTo(1_000));
});

test('when the deadline of close passes amid a list, the error tells what was accepted', async () => {
  const one = await openUp({ maxPendingJobs: 100, maxBacklogJobs: 150 });
  const { queue, backend, clock } = one;
  backend.refuseJobs(({ payload }) => {
    if (payload === '200') void clock.advance(10);
    return undefined;
  });
  const many = failureOf(queue.enqueueMany('t', list(5_000)));
  await queue.close({ deadlineMs: 5 }).catch(() => undefined);
  const error = await many;
  expect(error).toBeInstanceOf(PartialEnqueueError);
  if (!(error instanceof PartialEnqueueError)) return;
  expect(error.cause).toMatchObject({ code: 'QUEUE_CLOSED' });
  const fulfilled = error.results.flatMap((result, index) =>
    result.status === 'fulfilled' ? [index + 1] : [],
  );
  expect(numbers(one)).toEqual(expect.arrayContaining(fulfilled));
  expect(fulfilled.length).toBe(error.accepted.length);
});

test('a list amid which Redis is lost goes on in the fallback', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const { queue, backend } = one;
  backend.refuseJobs(({ payload }) => {
    if (payload === '250') backend.down();
    return undefined;
  });
  const accepted = await queue.enqueueMany('t', list(1_000));
  const by = (store: Accepted['accepted']): number =>
    accepted.filter((answer) => answer.accepted === store).length;
  expect(by('redis') + by('memory')).toBe(1_000);
  expect(by('memory')).toBeGreaterThan(500);
  backend.up();
  await queue.enqueue('t', 1_001);
  while (queue.state !== 'direct') await one.clock.advance(10);
  expect(numbers(one)).toEqual(upTo(1_001));
});

test('delayed and deduplicated jobs of a long list are told each by itself', async () => {
  const one = await openUp({ maxPendingJobs: 100 });
  const jobs = list(300).map(({ payload }) => {
    const jobId = `id-${payload % 150}`;
    return payload % 2 === 0 ? { payload, jobId, delayMs: 1_000 } : { payload, jobId };
  });
  const accepted = await one.queue.enqueueMany('t', jobs);
  expect(accepted.map(({ id }) => id)).toEqual(jobs.map(({ jobId }) => jobId));
  expect(accepted.map(({ duplicate = false }) => duplicate)).toEqual(
    jobs.map((_, index) => index >= 150),
  );
});

test('a list that waits for room in the fallback is accepted in order once Redis is back', async () => {
  const one = open({ maxPendingJobs: 100, maxBacklogJobs: 130, backpressure: 'wait' });
  const { queue, backend } = one;
  await backend.opened;
  backend.failAttempt(gone);
  const many = queue.enqueueMany('t', list(500));
  await until(() => queue.getStats().backlog.jobs === 130);
  backend.up();
  await many;
  expect(numbers(one)).toEqual(upTo(500));
});
