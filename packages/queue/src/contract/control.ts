import { once } from 'node:events';
// Not the global one, which a test may fake.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { Queue } from '../queue.ts';
import { aWhile, collect } from './collect.ts';
import type { DeclareTest, OpenContractQueue } from './guarantees.ts';

const HOUR_MS = 3_600_000;

async function untilNonePending(queue: Queue, topic: string): Promise<void> {
  while ((await queue.inspect(topic).counts()).pending > 0) await nextTurn();
}

/** A queue pauses a topic for all consumers, and resumes it. */
export function honoursPause(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a paused topic accepts jobs, and none is taken until it is resumed, by whichever consumer', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    queue.process('held', take, { concurrency: 1 });
    await queue.enqueue('held', 1);
    await reached(1);
    expect(await queue.isPaused('held')).toBe(false);
    const paused = await queue.pause('held');
    expect(paused).toMatchObject({ accepted: queue.current, outcome: 'paused' });
    expect(await queue.isPaused('held')).toBe(true);
    await queue.enqueueMany('held', [{ payload: 2 }, { payload: 3 }, { payload: 4, delayMs: 1 }]);
    queue.process('held', take, { concurrency: 1 });
    await aWhile(queue);
    expect(jobs.map(({ payload }) => payload)).toEqual([1]);
    const { waiting, delayed, paused: isPaused } = await queue.inspect('held').counts();
    expect({ jobs: waiting + delayed, isPaused }).toEqual({ jobs: 3, isPaused: true });
    expect((await queue.inspect('held').peek('waiting')).map(({ payload }) => payload)).toEqual(
      expect.arrayContaining([2, 3]),
    );
    expect(await queue.resume('held')).toMatchObject({ outcome: 'resumed' });
    await reached(4);
    expect(new Set(jobs.map(({ payload }) => payload))).toEqual(new Set([1, 2, 3, 4]));
    expect(await queue.isPaused('held')).toBe(false);
    expect((await queue.inspect('held').counts()).paused).toBeUndefined();
  });

  test('a handler that runs when its topic is paused ends, and its job does not run again', async () => {
    const queue = await openUp();
    const begun = Promise.withResolvers<undefined>();
    const end = Promise.withResolvers<undefined>();
    const runs: unknown[] = [];
    queue.process('running', async ({ payload }) => {
      runs.push(payload);
      begun.resolve(undefined);
      await end.promise;
    });
    await queue.enqueue('running', 'a');
    await begun.promise;
    await queue.pause('running');
    end.resolve(undefined);
    const topic = queue.inspect('running');
    await untilNonePending(queue, 'running');
    expect(await topic.counts()).toMatchObject({ waiting: 0, pending: 0, delayed: 0, dead: 0 });
    await queue.resume('running');
    await aWhile(queue);
    expect(runs).toEqual(['a']);
  });

  test('pausing and resuming twice changes nothing more', async () => {
    const queue = await openUp();
    await queue.enqueue('twice', 1);
    expect((await queue.pause('twice')).outcome).toBe('paused');
    expect((await queue.pause('twice')).outcome).toBe('already-paused');
    expect((await queue.resume('twice')).outcome).toBe('resumed');
    expect((await queue.resume('twice')).outcome).toBe('not-paused');
    const { jobs, take, reached } = collect();
    queue.process('twice', take);
    await reached(1);
    expect(jobs).toHaveLength(1);
  });
}

/** A queue refuses operations that make no sense. */
export function honoursArguments(openUp: OpenContractQueue, test: DeclareTest): void {
  test('an operation with a bad topic, id or option is refused, and changes nothing', async () => {
    const queue = await openUp();
    const refused = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field });
    await expect(queue.pause('')).rejects.toEqual(refused('topic'));
    await expect(queue.resume('a\nb')).rejects.toEqual(refused('topic'));
    await expect(queue.isPaused('')).rejects.toEqual(refused('topic'));
    await expect(queue.cancel('t', '')).rejects.toEqual(refused('jobId'));
    await expect(queue.promote('t', '{')).rejects.toEqual(refused('jobId'));
    await expect(queue.purge('')).rejects.toEqual(refused('topic'));
    await expect(queue.reschedule('t', 'a', { delayMs: -1 })).rejects.toEqual(refused('delayMs'));
    const unknown: object = { delay: 5 };
    await expect(queue.drain('t', unknown)).rejects.toEqual(refused('delay'));
    await expect(queue.pause('t', unknown)).rejects.toEqual(refused('delay'));
    expect(queue.getStats()).toMatchObject({ acceptedByRedis: 0, pending: 0 });
  });
}

/** A queue cancels, reschedules and promotes single jobs. */
export function honoursJobControl(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a waiting or delayed job that is cancelled is removed, and the others are handled', async () => {
    const queue = await openUp();
    await queue.enqueueMany('cancelled', [
      { payload: 1, jobId: 'a' },
      { payload: 2, jobId: 'b' },
      { payload: 3, jobId: 'c', delayMs: 1 },
      { payload: 4, jobId: 'd' },
    ]);
    expect(await queue.cancel('cancelled', 'b')).toMatchObject({ outcome: 'removed' });
    expect(await queue.cancel('cancelled', 'c')).toMatchObject({ outcome: 'removed' });
    expect(await queue.cancel('cancelled', 'b')).toMatchObject({ outcome: 'not-found' });
    const { jobs, take, reached } = collect();
    queue.process('cancelled', take, { concurrency: 1 });
    await reached(2);
    await aWhile(queue);
    expect(jobs.map(({ id }) => id)).toEqual(['a', 'd']);
  });

  test('an operation on a job that is not there says so, and changes nothing', async () => {
    const queue = await openUp();
    await queue.enqueueMany('absent', [{ payload: 1 }, { payload: 2, delayMs: HOUR_MS }]);
    expect((await queue.cancel('absent', 'x')).outcome).toBe('not-found');
    expect((await queue.promote('absent', '*')).outcome).toBe('not-found');
    const moved = await queue.reschedule('absent', 'x', { delayMs: 1 });
    expect(moved.outcome).toBe('not-found');
    expect(await queue.inspect('absent').counts()).toMatchObject({ waiting: 1, delayed: 1 });
  });

  test('a delayed job is rescheduled, and promoted', async () => {
    const queue = await openUp();
    await queue.enqueueMany('moved', [
      { payload: 1, jobId: 'a', delayMs: HOUR_MS },
      { payload: 2, jobId: 'b', delayMs: HOUR_MS },
      { payload: 3, jobId: 'c', delayMs: HOUR_MS },
    ]);
    const { outcome } = await queue.reschedule('moved', 'b', { delayMs: 10 });
    expect(outcome).toBe('rescheduled');
    const { jobs, take, reached } = collect();
    queue.process('moved', take, { concurrency: 1 });
    await reached(1);
    expect((await queue.promote('moved', 'c')).outcome).toBe('promoted');
    await reached(2);
    expect(jobs.map(({ id }) => id)).toEqual(['b', 'c']);
    expect(await queue.inspect('moved').counts()).toMatchObject({ waiting: 0, delayed: 1 });
  });
}

/** A queue reschedules jobs that wait, and aborts those that run. */
export function honoursFullControl(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a waiting job is rescheduled', async () => {
    const queue = await openUp();
    await queue.enqueue('put-off', 1, { jobId: 'a' });
    const { outcome } = await queue.reschedule('put-off', 'a', { delayMs: HOUR_MS });
    expect(outcome).toBe('rescheduled');
    const topic = queue.inspect('put-off');
    expect(await topic.counts()).toMatchObject({ waiting: 0, delayed: 1 });
    const [left] = await topic.peek('delayed');
    expect(left).toMatchObject({ id: 'a', payload: 1 });
    const leftMs = (left?.dueAtMs ?? 0) - (left?.enqueuedAtMs ?? 0);
    expect(Math.abs(leftMs - HOUR_MS)).toBeLessThan(60_000);
  });

  test('the signal of a running job that is cancelled is aborted, and the job does not run again', async () => {
    const queue = await openUp();
    const begun = Promise.withResolvers<undefined>();
    const aborted: unknown[] = [];
    let runs = 0;
    queue.process(
      'aborted',
      async (_job, { signal }) => {
        runs += 1;
        begun.resolve(undefined);
        if (!signal.aborted) await once(signal, 'abort');
        aborted.push(signal.reason);
        throw new Error('it was aborted');
      },
      { retryDelayMs: 1 },
    );
    await queue.enqueue('aborted', 1, { jobId: 'a' });
    await begun.promise;
    expect((await queue.promote('aborted', 'a')).outcome).toBe('running');
    expect((await queue.cancel('aborted', 'a')).outcome).toBe('aborting');
    const topic = queue.inspect('aborted');
    await untilNonePending(queue, 'aborted');
    expect(await topic.counts()).toMatchObject({ waiting: 0, delayed: 0, dead: 0 });
    expect(aborted).toMatchObject([{ code: 'QUEUE_JOB_CANCELLED' }]);
    await aWhile(queue);
    expect(runs).toBe(1);
    expect((await queue.cancel('aborted', 'a')).outcome).toBe('not-found');
  });
}

/** A queue removes the waiting jobs of a topic. */
export function honoursPurge(openUp: OpenContractQueue, test: DeclareTest): void {
  const jobs = [
    { payload: 1 },
    { payload: 2, priority: 'high' as const },
    { payload: 3, priority: 'low' as const },
    { payload: 4, delayMs: HOUR_MS },
  ];

  test('purge removes the waiting and the delayed jobs of its topic, and counts them', async () => {
    const queue = await openUp();
    await queue.enqueueMany('purged', jobs);
    await queue.enqueue('other', 1);
    expect(await queue.purge('purged')).toBe(4);
    expect(await queue.inspect('purged').counts()).toMatchObject({ waiting: 0, delayed: 0 });
    expect(await queue.inspect('other').counts()).toMatchObject({ waiting: 1 });
    expect(await queue.purge('purged')).toBe(0);
    expect(await queue.purge('unknown')).toBe(0);
  });

  test('drain removes the waiting jobs, and the delayed ones only when it is asked to', async () => {
    const queue = await openUp();
    await queue.enqueueMany('drained', jobs);
    expect(await queue.drain('drained')).toBe(3);
    expect(await queue.inspect('drained').counts()).toMatchObject({ waiting: 0, delayed: 1 });
    expect(await queue.drain('drained', { delayed: true })).toBe(1);
    expect(await queue.inspect('drained').counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test('what a consumer holds is not purged, and a purge whose signal is aborted removes nothing', async () => {
    const queue = await openUp();
    const begun = Promise.withResolvers<undefined>();
    const end = Promise.withResolvers<undefined>();
    const ended: unknown[] = [];
    queue.process(
      'held-back',
      async ({ payload }) => {
        begun.resolve(undefined);
        await end.promise;
        ended.push(payload);
      },
      { concurrency: 1, maxPerSecond: 1 },
    );
    await queue.enqueueMany('held-back', [{ payload: 1 }, { payload: 2 }, { payload: 3 }]);
    await begun.promise;
    const reason = new Error('never mind');
    await expect(queue.purge('held-back', { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    expect(await queue.purge('held-back')).toBe(2);
    end.resolve(undefined);
    await untilNonePending(queue, 'held-back');
    expect(ended).toEqual([1]);
  });
}

/** A job has attempts, delays and a time of its own. */
export function honoursJobOptions(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a job with maxAttempts and backoff of its own is tried so often and so soon, whatever the consumer says', async () => {
    const queue = await openUp();
    const attempts: number[] = [];
    const deadLettered = nextEvent(queue, 'dead-lettered');
    queue.process(
      'own',
      ({ attempt }) => {
        attempts.push(attempt);
        throw new Error('no luck');
      },
      { maxAttempts: 2, retryDelayMs: HOUR_MS },
    );
    await queue.enqueue('own', 1, {
      jobId: 'a',
      maxAttempts: 4,
      backoff: { kind: 'exponential', delayMs: 1, maxDelayMs: 2 },
    });
    await expect(deadLettered).resolves.toMatchObject({ id: 'a', attempts: 4 });
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  test('a job has its own options again after it was redriven', async () => {
    const queue = await openUp();
    queue.process('again', () => {
      throw new Error('no luck');
    });
    for (let round = 0; round < 2; round += 1) {
      const deadLettered = nextEvent(queue, 'dead-lettered');
      if (round === 0) await queue.enqueue('again', 1, { maxAttempts: 1 });
      else while ((await queue.deadLetters('again').redrive()) === 0) await nextTurn();
      await expect(deadLettered).resolves.toMatchObject({ attempts: 1 });
    }
  });

  test('a job with a time of its own is aborted after it', async () => {
    const queue = await openUp();
    const timedOut = nextEvent(queue, 'timed-out');
    queue.process('timed', (_job, { signal }) => once(signal, 'abort').then(() => undefined), {
      timeoutMs: HOUR_MS,
    });
    await queue.enqueue('timed', 1, { jobId: 'a', timeoutMs: 20, priority: 'high' });
    await expect(timedOut).resolves.toMatchObject({ id: 'a', timeoutMs: 20 });
  });

  test('bad options of a job are refused by name', async () => {
    const queue = await openUp();
    const refused = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field });
    await expect(queue.enqueue('t', 1, { maxAttempts: 0 })).rejects.toEqual(refused('maxAttempts'));
    await expect(queue.enqueue('t', 1, { timeoutMs: 0.5 })).rejects.toEqual(refused('timeoutMs'));
    const linear: object = { backoff: { kind: 'linear', delayMs: 1 } };
    await expect(queue.enqueue('t', 1, linear)).rejects.toEqual(refused('backoff'));
    const backwards = { kind: 'exponential', delayMs: 10, maxDelayMs: 5 } as const;
    await expect(queue.enqueue('t', 1, { backoff: backwards })).rejects.toEqual(
      refused('backoff.maxDelayMs'),
    );
    const job = { payload: 1, backoff: { kind: 'constant', delayMs: -1 } as const };
    await expect(queue.enqueueMany('t', [job])).rejects.toEqual(refused('jobs[0].backoff.delayMs'));
  });
}
