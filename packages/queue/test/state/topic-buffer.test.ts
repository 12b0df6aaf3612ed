import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../../src/batch-limits.ts';
import { PendingJob } from '../../src/state/pending-job.ts';
import { PendingLimits } from '../../src/state/pending-limits.ts';
import { ResendBuffer, Retention } from '../../src/state/resend-buffer.ts';
import { TopicBuffer } from '../../src/state/topic-buffer.ts';

interface Opened {
  readonly buffer: TopicBuffer;
  readonly add: (payload?: string, signal?: AbortSignal) => PendingJob;
}

function open(after?: number): Opened {
  const clock = createFakeClock();
  const limits = { retainMs: 1_000, maxCharacters: 1_000, lostAtMs: () => undefined };
  const resendBuffer = new ResendBuffer(new Retention({ clock, ...limits }));
  const buffer = new TopicBuffer('t', resendBuffer, after);
  return {
    buffer,
    add(payload = 'x', signal) {
      const sequence = buffer.nextSequence();
      const origin = { topic: 't', originEpoch: 1, originNonce: 'n' };
      const times = { unique: false, enqueuedAtMs: 0, dueAtMs: 0 };
      const job = { ...origin, ...times, sequence, id: `${sequence}`, payload };
      const pending = new PendingJob(job, () => undefined, signal);
      pending.outcome.catch(() => undefined);
      buffer.add(pending);
      return pending;
    },
  };
}

const numbers = (jobs: readonly PendingJob[]): number[] => jobs.map(({ job }) => job.sequence);

test('jobs are numbered on, behind those of an earlier buffer, and taken in order', () => {
  const { buffer, add } = open(7);
  expect([buffer.lastSequence, buffer.isEmpty, buffer.size]).toEqual([7, true, 0]);
  for (let job = 0; job < 3; job += 1) add();
  expect([buffer.lastSequence, buffer.isEmpty, buffer.size]).toEqual([10, false, 3]);
  expect(numbers(buffer.take())).toEqual([8, 9, 10]);
  expect([buffer.isEmpty, buffer.take()]).toEqual([true, []]);
});

test('a batch has at most so many jobs, and at most so many characters, but always one job', () => {
  const many = open();
  for (let job = 0; job < MAX_BATCH_JOBS + 1; job += 1) many.add();
  expect(many.buffer.take()).toHaveLength(MAX_BATCH_JOBS);
  expect(many.buffer.take()).toHaveLength(1);
  const { buffer, add } = open();
  const half = 'x'.repeat(MAX_BATCH_CHARACTERS / 2);
  add(half);
  add(half);
  add('y');
  add('x'.repeat(MAX_BATCH_CHARACTERS + 1));
  add('z');
  expect(numbers(buffer.take())).toEqual([1, 2]);
  expect(numbers(buffer.take())).toEqual([3]);
  expect(numbers(buffer.take())).toEqual([4]);
  expect(numbers(buffer.take())).toEqual([5]);
});

test('a job whose caller has given up is not sent, and takes no room in its batch', () => {
  const { buffer, add } = open();
  const leaving = new AbortController();
  add('x'.repeat(MAX_BATCH_CHARACTERS), leaving.signal);
  add('a');
  add('x'.repeat(MAX_BATCH_CHARACTERS - 1));
  leaving.abort();
  expect(numbers(buffer.take())).toEqual([2, 3]);
  expect(buffer.size).toBe(0);
});

test('Redis knows a job once the batches before it are confirmed or under way', () => {
  const { buffer, add } = open();
  for (let job = 0; job < 3; job += 1) add();
  const [first, second, third] = buffer.take();
  if (!first || !second || !third) throw new Error('no jobs');
  expect([buffer.isSending, buffer.inFlight, buffer.lastSentSequence]).toEqual([false, 0, 0]);
  const [one, two] = [[first, second], [third]];
  buffer.send(one);
  buffer.send(two);
  expect([buffer.isSending, buffer.inFlight, buffer.lastSentSequence]).toEqual([true, 2, 3]);
  expect([first.wasSent, third.wasSent]).toEqual([true, true]);
  buffer.confirmedSequence = 2;
  buffer.settle(one);
  expect([buffer.isSending, buffer.inFlight, buffer.lastSentSequence]).toEqual([true, 1, 3]);
  // The last one failed: what follows comes behind what is confirmed.
  buffer.requeue(two);
  buffer.settle(two);
  expect([buffer.isSending, buffer.lastSentSequence, buffer.isRewinding]).toEqual([
    false,
    2,
    false,
  ]);
  expect(numbers(buffer.takeForRedis())).toEqual([3]);
});

test('the first batch to fail fails on its own, those behind it because of it', () => {
  const { buffer, add } = open();
  for (let job = 0; job < 4; job += 1) add();
  const [first, second, third, fourth] = buffer.take();
  if (!first || !second || !third || !fourth) throw new Error('no jobs');
  const [one, two, three] = [[first], [second], [third]];
  for (const batch of [one, two, three]) buffer.send(batch);
  expect([one, two].map((batch) => buffer.isFirstToFail(batch))).toEqual([true, false]);
  buffer.requeue(one);
  buffer.settle(one);
  expect(buffer.isFirstToFail(two)).toBe(false);
  expect(buffer.isRewinding).toBe(true);
  buffer.add(fourth);
  buffer.requeue(three);
  buffer.settle(three);
  buffer.requeue(two);
  buffer.settle(two);
  expect(buffer.isRewinding).toBe(false);
  expect(numbers(buffer.take())).toEqual([1, 2, 3, 4]);
});

test('jobs whose write to the journal hangs precede the others, until the write has ended', () => {
  const { buffer, add } = open();
  for (let job = 0; job < 4; job += 1) add();
  const [first, second, third, fourth] = buffer.take();
  if (!first || !second || !third || !fourth) throw new Error('no jobs');
  buffer.keepInDoubt([first, second]);
  buffer.add(third);
  expect(buffer.isSettled).toBe(false);
  const doubtful = buffer.takeForRedis();
  expect(numbers(doubtful)).toEqual([1, 2]);
  expect(numbers(buffer.takeForRedis())).toEqual([3]);
  buffer.send(doubtful);
  buffer.add(third);
  // They come back to their place.
  buffer.requeue(doubtful);
  buffer.settle(doubtful);
  expect(numbers(buffer.takeForRedis())).toEqual([1, 2]);
  buffer.requeue(doubtful);
  buffer.dropInDoubt();
  expect(doubtful.map(({ isInDoubt }) => isInDoubt)).toEqual([false, false]);
  expect(numbers(buffer.takeForRedis())).toEqual([3]);
  expect(buffer.isSettled).toBe(true);
});

test('a buffer is idle when every job has reached Redis and none has to be sent again', () => {
  const { buffer, add } = open();
  expect([buffer.isSettled, buffer.isIdle]).toEqual([true, true]);
  const pending = add();
  expect([buffer.isSettled, buffer.isIdle]).toEqual([false, false]);
  const batch = buffer.take();
  // The fallback may have it.
  expect([buffer.isSettled, buffer.isIdle]).toEqual([true, false]);
  buffer.send(batch);
  expect(buffer.isSettled).toBe(false);
  buffer.confirmedSequence = 1;
  buffer.settle(batch);
  expect([buffer.isSettled, buffer.isIdle]).toEqual([true, true]);
  for (const busy of ['isBatching', 'isSpilling'] as const) {
    buffer[busy] = true;
    expect(buffer.isSettled).toBe(false);
    buffer[busy] = false;
  }
  buffer.resendBuffer.add([pending.job]);
  expect([buffer.isSettled, buffer.isIdle]).toEqual([false, false]);
});

test('all jobs that wait can be taken at once', () => {
  const { buffer, add } = open();
  for (let job = 0; job < MAX_BATCH_JOBS + 5; job += 1) add();
  expect(buffer.takeAll()).toHaveLength(MAX_BATCH_JOBS + 5);
  expect(buffer.isEmpty).toBe(true);
});

function limited(maxPendingJobs: number, maxPendingBytes: number): PendingLimits {
  return new PendingLimits({ maxPendingJobs, maxPendingBytes }, { pending: 0 });
}

test('as many jobs as permitted may wait, and not one more', () => {
  const limits = limited(2, 100);
  for (let job = 0; job < 2; job += 1) {
    limits.assertRoom('x');
    limits.add('x');
  }
  expect(() => limits.assertRoom('x')).toThrow(
    expect.objectContaining({ limit: 'maxPendingJobs' }),
  );
  expect(limits.refusalOf(0)).toMatchObject({ code: 'QUEUE_FULL', limit: 'maxPendingJobs' });
  limits.remove('x');
  limits.assertRoom('x');
});

test('as many bytes as permitted may wait, and a job that is larger only alone', () => {
  const limits = limited(9, 10);
  limits.assertRoom('x'.repeat(11));
  limits.add('x'.repeat(4));
  expect(limits.refusalOf(6)).toBeUndefined();
  expect(limits.refusalOf(7)).toMatchObject({ limit: 'maxPendingBytes' });
  limits.add('x'.repeat(6));
  limits.assertRoom('');
  expect(() => limits.assertRoom('x')).toThrow('10 of at most 10 bytes');
  limits.remove('x'.repeat(4));
  expect(limits.refusalOf(4)).toBeUndefined();
});

test('there is room for a list where all of it fits', () => {
  const limits = limited(3, 10);
  const jobs = (count: number, length: number): { payload: string }[] =>
    Array.from({ length: count }, () => ({ payload: 'x'.repeat(length) }));
  limits.add('xx');
  expect(limits.hasRoomFor(jobs(2, 4))).toBe(true);
  expect(limits.hasRoomFor(jobs(3, 1))).toBe(false);
  expect(limits.hasRoomFor(jobs(1, 9))).toBe(false);
});
