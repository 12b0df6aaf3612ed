import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { BackendError } from '../../src/errors.ts';
import type { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];
const directories: string[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
  for (const directory of directories.splice(0)) {
    await rm(directory, { recursive: true, force: true });
  }
});

function open(options: Parameters<typeof openTestQueue>[0] = {}, server?: FakeBackend): TestQueue {
  const opening = openTestQueue(options, server);
  opening.backend.refuseJobs(isPoison);
  opened.push(opening);
  return opening;
}

async function onDisk(): Promise<Parameters<typeof openTestQueue>[0]> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-queue-'));
  directories.push(directory);
  return { clock: systemClock, fallback: { journal: { directory } } };
}

const REASON = 'WRONGTYPE it is';
const gone = new BackendError('unreachable', 'connection refused');

function isPoison({ payload }: { payload: string }): string | undefined {
  return payload.includes('poison') ? REASON : undefined;
}

const applied = (backend: FakeBackend): unknown[] =>
  (backend.applied.get('t') ?? []).map((json) => JSON.parse(json));

test('a poison job is rejected with its reason, and the jobs around it are accepted', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.ready();
  const poisoned = nextEvent(queue, 'poisoned');
  const answers = await Promise.allSettled(
    [1, 'poison', 3, 'poison too', 5].map((payload, index) =>
      queue.enqueue('t', payload, { jobId: `job-${index + 1}` }),
    ),
  );
  const refused = { code: 'QUEUE_JOB_POISON', topic: 't', reason: REASON, outcome: 'not-applied' };
  expect(answers).toMatchObject([
    { value: { accepted: 'redis' } },
    { reason: { ...refused, id: 'job-2', retryable: false } },
    { value: { accepted: 'redis' } },
    { reason: { ...refused, id: 'job-4' } },
    { value: { accepted: 'redis' } },
  ]);
  await expect(poisoned).resolves.toMatchObject({ id: 'job-2', reason: REASON, kept: false });
  expect(applied(backend)).toEqual([1, 3, 5]);
  expect(queue.getStats()).toMatchObject({ state: 'direct', acceptedByRedis: 3, poisoned: 0 });
  await expect(queue.poisonJobs('t').list()).resolves.toEqual([]);
});

test('after a poison job at the end of a batch the queue continues, and reports no lost jobs', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.enqueue('t', 1);
  await expect(queue.enqueue('t', 'poison')).rejects.toMatchObject({ code: 'QUEUE_JOB_POISON' });
  await queue.enqueue('t', 3);
  backend.down();
  await queue.enqueue('t', 'poison');
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  await queue.enqueue('t', 5);
  expect(applied(backend)).toEqual([1, 3, 5]);
  expect(queue.getStats().dataLoss).toEqual({ count: 0, jobs: 0, resent: 0 });
});

test('a poison job that the fallback has accepted is stored with its reason, and blocks no other job', async () => {
  const { queue, backend } = open();
  await backend.opened;
  backend.failAttempt(gone);
  const jobs = [1, 'poison', 3, 'poison too', 5];
  await queue.enqueueMany(
    't',
    jobs.map((payload, index) => ({ payload, jobId: `job-${index + 1}` })),
  );
  const poisoned = nextEvent(queue, 'poisoned');
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await expect(poisoned).resolves.toMatchObject({ topic: 't', id: 'job-2', kept: true });
  await drained;
  expect(applied(backend)).toEqual([1, 3, 5]);
  expect(queue.getStats()).toMatchObject({ state: 'direct', poisoned: 2, backlog: { jobs: 0 } });
  const listed = await queue.poisonJobs('t').list();
  expect(listed).toMatchObject([
    { id: 'job-2', payload: 'poison', attempts: 0, reason: REASON, history: [] },
    { id: 'job-4', payload: 'poison too' },
  ]);
  expect(await queue.poisonJobs('u').list()).toEqual([]);
  expect(await queue.poisonJobs('t').list({ limit: 1 })).toHaveLength(1);
});

test('a redriven poison job becomes a job again, once', async () => {
  const { queue, backend } = open();
  await backend.opened;
  backend.failAttempt(gone);
  await queue.enqueue('t', 'poison', { jobId: 'one' });
  await queue.enqueue('t', 'poison too', { jobId: 'two' });
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  backend.refuseJobs(() => undefined);
  await expect(queue.poisonJobs('t').redrive({ ids: ['two', 'unknown'] })).resolves.toBe(1);
  expect(applied(backend)).toEqual(['poison too']);
  await expect(queue.poisonJobs('t').list()).resolves.toMatchObject([{ id: 'one' }]);
  await expect(queue.poisonJobs('t').redrive()).resolves.toBe(1);
  await expect(queue.poisonJobs('t').redrive()).resolves.toBe(0);
  expect(applied(backend)).toEqual(['poison too', 'poison']);
});

test('a poison job in the journal is inherited by the next owner, and not sent from its first record', async () => {
  const options = await onDisk();
  const first = open(options);
  await first.backend.opened;
  first.backend.failAttempt(gone);
  await first.queue.enqueueMany('t', [{ payload: 1 }, { payload: 'poison' }, { payload: 3 }]);
  const drained = nextEvent(first.queue, 'drained');
  first.backend.up();
  await drained;
  await first.queue.close();

  const second = open(options, first.backend);
  second.backend.refuseJobs(() => undefined);
  second.backend.up();
  await second.queue.enqueue('t', 4);
  expect(applied(second.backend)).toEqual([1, 3, 4]);
  await expect(second.queue.poisonJobs('t').redrive()).resolves.toBe(1);
  expect(applied(second.backend)).toEqual([1, 3, 4, 'poison']);
  await second.queue.close();

  const third = open(options, first.backend);
  third.backend.refuseJobs(() => undefined);
  third.backend.up();
  await third.queue.enqueue('t', 5);
  expect(applied(third.backend)).toEqual([1, 3, 4, 'poison', 5]);
  await expect(third.queue.poisonJobs('t').list()).resolves.toEqual([]);
});

test('at most maxDeadLetters poison jobs are stored, the newest', async () => {
  const { queue, backend } = open({ maxDeadLetters: 2 });
  await backend.opened;
  backend.failAttempt(gone);
  const jobs = [1, 2, 3].map((n) => ({ payload: `poison ${n}`, jobId: `job-${n}` }));
  await queue.enqueueMany('t', jobs);
  const direct = nextEvent(queue, 'drained');
  backend.up();
  await direct;
  await expect(queue.poisonJobs('t').list()).resolves.toMatchObject([
    { id: 'job-2' },
    { id: 'job-3' },
  ]);
});

test('a poison job is found again when the reply was lost', async () => {
  const { queue, backend } = open();
  backend.up();
  await queue.ready();
  backend.loseNextReply();
  const drained = nextEvent(queue, 'drained');
  const poisoned = nextEvent(queue, 'poisoned');
  const answers = [1, 'poison', 3].map((payload) => queue.enqueue('t', payload));
  await expect(Promise.all(answers)).resolves.toMatchObject([
    { accepted: 'memory' },
    { accepted: 'memory' },
    { accepted: 'memory' },
  ]);
  await expect(poisoned).resolves.toMatchObject({ kept: true });
  await drained;
  expect(applied(backend)).toEqual([1, 3]);
});

test('with several batches in flight, jobs behind a poison job are added once, after those before it', async () => {
  const { queue, backend, clock } = open();
  backend.up();
  await queue.ready();
  const isBad = (n: number): boolean => n === 100 || n === 499 || n === 500 || n === 1_400;
  const all = Array.from({ length: 2_000 }, (_, n) => n);
  const answers = all.map((n) => queue.enqueue('t', isBad(n) ? `poison ${n}` : n));
  const settled = await clock.settle(Promise.allSettled(answers));
  const kept = queue.getStats().poisoned;
  const refused = settled.filter(({ status }) => status === 'rejected').length;
  while (queue.getStats().backlog.jobs > 0) await clock.advance(100);
  expect(applied(backend)).toEqual(all.filter((n) => !isBad(n)));
  expect(Math.max(kept, queue.getStats().poisoned) + refused).toBe(4);
});

test('over reopenings at most maxDeadLetters poison jobs are stored, the newest, and the journal does not grow', async () => {
  const options = { ...(await onDisk()), maxDeadLetters: 2 };
  let server: FakeBackend | undefined;
  for (let life = 1; life <= 4; life += 1) {
    const one = open(options, server);
    server ??= one.backend;
    await one.backend.opened;
    one.backend.failAttempt(gone);
    await one.queue.enqueueMany('t', [
      { payload: `poison ${life}a`, jobId: `job-${life}a` },
      { payload: `poison ${life}b`, jobId: `job-${life}b` },
      { payload: `poison ${life}c`, jobId: `job-${life}c` },
    ]);
    const drained = nextEvent(one.queue, 'drained');
    one.backend.up();
    await drained;
    const listed = await one.queue.poisonJobs('t').list();
    expect(listed.map(({ id }) => id)).toEqual([`job-${life}b`, `job-${life}c`]);
    await one.queue.close();
  }
  const last = open(options, server);
  last.backend.refuseJobs(() => undefined);
  last.backend.up();
  await last.queue.ready();
  const listed = await last.queue.poisonJobs('t').list();
  expect(listed.map(({ id }) => id)).toEqual(['job-4b', 'job-4c']);
  await expect(last.queue.poisonJobs('t').redrive()).resolves.toBe(2);
  await last.queue.close();
  const empty = open(options, server);
  empty.backend.up();
  await empty.queue.ready();
  expect(await empty.queue.poisonJobs('t').list()).toEqual([]);
});
