import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { BackendError } from '../../src/errors.ts';
import type { QueueEvents } from '../../src/queue.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

function open(options: Parameters<typeof openTestQueue>[0] = {}): TestQueue {
  const opening = openTestQueue(options);
  opened.push(opening);
  return opening;
}

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

const gone = new BackendError('unreachable', 'connection refused');

function payloads(backend: TestQueue['backend'], topic: string): unknown[] {
  return (backend.applied.get(topic) ?? []).map((json) => JSON.parse(json));
}

async function enqueueAll(
  queue: TestQueue['queue'],
  topic: string,
  from: number,
  to: number,
): Promise<string[]> {
  const all = [];
  for (let n = from; n <= to; n += 1) all.push(queue.enqueue(topic, n));
  return (await Promise.all(all)).map(({ accepted }) => accepted);
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('a job is accepted by Redis while Redis is up', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.ready();
  await expect(queue.enqueue('mail', { to: 'ada' }, { jobId: 'a' })).resolves.toEqual({
    id: 'a',
    accepted: 'redis',
  });
  expect(queue.current).toBe('redis');
  expect(payloads(backend, 'mail')).toEqual([{ to: 'ada' }]);
});

test('a job is accepted by the fallback when Redis is down at the start, and delivered later', async () => {
  const { queue, backend } = open();
  const job = queue.enqueue('mail', 1);
  await backend.opened;
  backend.failAttempt(gone);
  await expect(job).resolves.toMatchObject({ accepted: 'memory' });
  expect(queue.current).toBe('memory');
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await expect(drained).resolves.toMatchObject({ jobs: 1 });
  expect(payloads(backend, 'mail')).toEqual([1]);
  expect(queue.current).toBe('redis');
});

test('jobs of an outage follow those before it and precede those after it', async () => {
  const { queue, backend } = open();
  backend.up();
  expect(new Set(await enqueueAll(queue, 't', 1, 20))).toEqual(new Set(['redis']));
  backend.down();
  expect(new Set(await enqueueAll(queue, 't', 21, 1_500))).toEqual(new Set(['memory']));
  const drained = nextEvent(queue, 'drained');
  backend.up();
  const during = enqueueAll(queue, 't', 1_501, 1_520);
  await drained;
  await during;
  expect(new Set(await enqueueAll(queue, 't', 1_521, 1_530))).toEqual(new Set(['redis']));
  expect(payloads(backend, 't')).toEqual(range(1, 1_530));
});

test('jobs that waited behind a failed batch stay behind it', async () => {
  const { queue, backend, clock } = open();
  backend.up();
  await queue.ready();
  backend.refuseNext(new BackendError('busy', 'not now'));
  const spilled = nextEvent(queue, 'spilled');
  const first = queue.enqueue('t', 1);
  for (let microtask = 0; microtask < 10; microtask += 1) await Promise.resolve();
  const behind = enqueueAll(queue, 't', 2, 5);
  await expect(spilled).resolves.toMatchObject({ jobs: 1 });
  await Promise.all([first, behind]);
  await clock.settle(nextEvent(queue, 'drained'));
  await queue.enqueue('t', 6);
  expect(payloads(backend, 't')).toEqual(range(1, 6));
});

test('a job whose reply was lost is applied once', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.ready();
  backend.loseNextReply();
  const drained = nextEvent(queue, 'drained');
  await expect(queue.enqueue('t', 1)).resolves.toMatchObject({ accepted: 'memory' });
  await drained;
  await queue.enqueue('t', 2);
  expect(payloads(backend, 't')).toEqual([1, 2]);
  expect(queue.getStats()).toMatchObject({ alreadyApplied: 1, drained: 1 });
});

test.each([
  ['busy', 'buffering'],
  ['unreachable', 'buffering'],
  ['denied', 'blocked'],
  ['fenced', 'blocked'],
] as const)(
  'a refusal that is %s keeps the jobs, says why, and ends by itself',
  async (errorClass, at) => {
    const { queue, backend, clock } = open();
    backend.up();
    await queue.ready();
    const refusal = new BackendError(errorClass, 'Redis: not now');
    backend.refuseAll(refusal);
    await expect(queue.enqueue('t', 1)).resolves.toMatchObject({ accepted: 'memory' });
    await expect(queue.enqueue('t', 2)).resolves.toMatchObject({ accepted: 'memory' });
    expect(queue.getStats()).toMatchObject({ state: at, errorClass, lastError: 'Redis: not now' });
    await clock.advance(10_000);
    expect(queue.getStats()).toMatchObject({ state: at, backlog: { jobs: 2 } });
    backend.refuseAll(undefined);
    await clock.settle(nextEvent(queue, 'drained'));
    expect(payloads(backend, 't')).toEqual([1, 2]);
    expect(queue.state).toBe('direct');
  },
);

test('retained jobs that Redis has lost are sent again, in order and before new ones', async () => {
  const { queue, backend } = open();
  backend.up();
  await enqueueAll(queue, 't', 1, 7);
  const forgot = nextEvent(queue, 'server-lost-jobs');
  backend.down();
  backend.forget();
  backend.applied.clear();
  await enqueueAll(queue, 't', 8, 9);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await expect(forgot).resolves.toMatchObject({ topic: 't', jobs: 7, resent: 7 });
  await drained;
  await queue.enqueue('t', 10);
  expect(payloads(backend, 't')).toEqual(range(1, 10));
  expect(queue.getStats().dataLoss).toEqual({ count: 1, jobs: 7, resent: 7 });
});

test('the number of older jobs that Redis has lost is reported', async () => {
  const { queue, backend, clock } = open({ retainMs: 1_000 });
  backend.up();
  await enqueueAll(queue, 't', 1, 4);
  await clock.advance(600);
  await enqueueAll(queue, 't', 5, 7);
  await clock.advance(600);
  const forgot = nextEvent(queue, 'server-lost-jobs');
  backend.down();
  backend.forget();
  backend.applied.clear();
  await clock.advance(60_000);
  const direct = nextEvent(queue, 'state', { matches: ({ to }) => to === 'direct' });
  backend.up();
  await expect(forgot).resolves.toMatchObject({ topic: 't', jobs: 7, resent: 3 });
  await direct;
  await queue.enqueue('t', 8);
  expect(payloads(backend, 't')).toEqual(range(5, 8));
});

test('without retention no job is sent again', async () => {
  const { queue, backend } = open({ retainMs: 0 });
  backend.up();
  await enqueueAll(queue, 't', 1, 7);
  const forgot = nextEvent(queue, 'server-lost-jobs');
  backend.down();
  backend.forget();
  backend.up();
  await expect(forgot).resolves.toMatchObject({ topic: 't', jobs: 7, resent: 0 });
  await queue.enqueue('t', 8);
  expect(queue.getStats().dataLoss).toEqual({ count: 1, jobs: 7, resent: 0 });
});

test('a second job with a known id is not applied', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.enqueue('t', 'first', { jobId: 'x' });
  await expect(queue.enqueue('t', 'second', { jobId: 'x' })).resolves.toEqual({
    id: 'x',
    accepted: 'redis',
    duplicate: true,
  });
  backend.down();
  await queue.enqueue('t', 'third', { jobId: 'x' });
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(payloads(backend, 't')).toEqual(['first']);
});

test('a full fallback rejects with a typed error, and its jobs are delivered', async () => {
  const { queue, backend } = open({ maxBacklogJobs: 3 });
  await backend.opened;
  backend.failAttempt(gone);
  await enqueueAll(queue, 't', 1, 3);
  await expect(queue.enqueue('t', 4)).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'fallback',
    outcome: 'not-applied',
    retryAfterMs: 1_000,
  });
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  await queue.enqueue('t', 5);
  expect(payloads(backend, 't')).toEqual([1, 2, 3, 5]);
});

test('the number of jobs waiting in memory is limited, and closing rejects them', async () => {
  const { queue, clock } = open({ maxPendingJobs: 2, maxTopics: 1 });
  const waiting = [queue.enqueue('t', 1), queue.enqueue('t', 2)];
  await expect(queue.enqueue('t', 3)).rejects.toMatchObject({ limit: 'maxPendingJobs' });
  const closing = clock.settle(queue.close({ deadlineMs: 1 }));
  await expect(Promise.allSettled(waiting)).resolves.toMatchObject([
    { reason: { code: 'QUEUE_CLOSED' } },
    { reason: { code: 'QUEUE_CLOSED' } },
  ]);
  await closing;
});

test('a topic beyond maxTopics is rejected', async () => {
  const { queue, backend } = open({ maxTopics: 1 });
  backend.up();
  await queue.enqueue('t', 1);
  await expect(queue.enqueue('u', 1)).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'maxTopics',
  });
});

test('an aborted enqueue rejects at once with the caller’s reason, and is not sent', async () => {
  const { queue, backend } = open();
  const abort = new AbortController();
  const first = queue.enqueue('t', 1, { signal: abort.signal });
  const second = queue.enqueue('t', 2);
  await backend.opened;
  abort.abort(new Error('the user left'));
  await expect(first).rejects.toThrow('the user left');
  backend.up();
  await second;
  expect(payloads(backend, 't')).toEqual([2]);
  await expect(queue.enqueue('t', 3, { signal: abort.signal })).rejects.toThrow('the user left');
});

test('a closed queue accepts nothing', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.ready();
  await queue.close();
  await queue.close();
  expect(queue.state).toBe('closed');
  await expect(queue.enqueue('t', 1)).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
  expect(() => queue.process('t', () => undefined)).toThrow(
    expect.objectContaining({ code: 'QUEUE_CLOSED' }),
  );
});

test('closing with jobs in the memory fallback rejects with the number of lost jobs', async () => {
  const { queue, backend, clock } = open();
  await backend.opened;
  backend.failAttempt(gone);
  await enqueueAll(queue, 't', 1, 3);
  const closing = clock.settle(queue.close({ deadlineMs: 500 }));
  await expect(closing).rejects.toMatchObject({ code: 'QUEUE_UNDRAINED', jobs: 3 });
});

test('a throwing listener does not affect the caller', async () => {
  const { queue, backend } = open();
  queue.on('state', () => {
    throw new Error('listener');
  });
  backend.up();
  await expect(queue.enqueue('t', 1)).resolves.toMatchObject({ accepted: 'redis' });
});

test('every change of state is reported in order', async () => {
  const { queue, backend } = open();
  const seen: QueueEvents['state'][] = [];
  queue.on('state', (event) => seen.push(event));
  backend.up();
  await queue.enqueue('t', 1);
  backend.down();
  await queue.enqueue('t', 2);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(seen.map(({ from, to, errorClass }) => [from, to, errorClass])).toEqual([
    ['opening', 'direct', undefined],
    ['direct', 'buffering', 'unreachable'],
    ['buffering', 'draining', undefined],
    ['draining', 'direct', undefined],
  ]);
});
