import { once } from 'node:events';
import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { UnrecoverableError } from '../errors.ts';
import { collect } from './collect.ts';
import type { DeclareTest, OpenContractQueue } from './guarantees.ts';

/** A queue handles the jobs of one key one at a time and in order. */
export function honoursKeys(openUp: OpenContractQueue, test: DeclareTest): void {
  test('jobs of one key are handled one at a time in their order, and a failing job delays its own key only', async () => {
    const queue = await openUp({ topics: { keyed: { partitions: 2 } } });
    const { jobs, take, reached } = collect();
    // With two partitions, these keys have one each.
    const keys = ['a', 'd'];
    const many = Array.from({ length: 40 }, (_, n) => {
      return { payload: { key: keys[n % 2], n }, key: keys[n % 2] ?? '' };
    });
    let running = 0;
    const failed = new Set<number>();
    await queue.enqueueMany('keyed', many);
    for (const name of ['one', 'two']) {
      queue.process(
        'keyed',
        async (job) => {
          running += 1;
          expect(running).toBeLessThanOrEqual(2);
          await new Promise(setImmediate);
          running -= 1;
          const n = jobs.length;
          if (n % 7 === 3 && !failed.has(n)) {
            failed.add(n);
            throw new Error('not yet');
          }
          take(job);
        },
        { name, retryDelayMs: 1 },
      );
    }
    await reached(40);
    for (const key of keys) {
      const mine = jobs.map(({ payload }) => payload).filter((it) => Object(it).key === key);
      expect(mine).toEqual(many.map(({ payload }) => payload).filter((it) => it.key === key));
    }
    expect(failed.size).toBeGreaterThan(0);
  });
}

/** A queue retries failed jobs, and dead-letters or blocks them when their attempts are used up. */
export function honoursAttempts(
  openUp: OpenContractQueue,
  test: DeclareTest,
  testKeys: DeclareTest,
): void {
  test('a failed job is retried, and dead-lettered when its attempts are used up', async () => {
    const queue = await openUp();
    const attempts: number[] = [];
    const deadLettered = nextEvent(queue, 'dead-lettered');
    queue.process(
      'doomed',
      ({ attempt }) => {
        attempts.push(attempt);
        throw new Error('no luck');
      },
      { maxAttempts: 3, retryDelayMs: 1 },
    );
    await queue.enqueue('doomed', 1, { jobId: 'd' });
    await expect(deadLettered).resolves.toMatchObject({
      id: 'd',
      attempts: 3,
      reason: 'Error: no luck',
    });
    expect(attempts).toEqual([1, 2, 3]);
  });

  testKeys(
    'with whenExhausted block, a job whose attempts are used up blocks the jobs of its key',
    async () => {
      const queue = await openUp({ topics: { strict: { partitions: 1 } } });
      const { jobs, take, reached } = collect();
      const attempts: number[] = [];
      queue.process(
        'strict',
        (job) => {
          if (job.payload === 'head') attempts.push(job.attempt);
          if (job.payload === 'head' && attempts.length < 6) throw new Error('no luck');
          take(job);
        },
        { maxAttempts: 2, retryDelayMs: 1, whenExhausted: 'block' },
      );
      await queue.enqueueMany('strict', [
        { payload: 'head', key: 'k' },
        { payload: 'next', key: 'k' },
      ]);
      await reached(2);
      expect(jobs.map(({ payload }) => payload)).toEqual(['head', 'next']);
      expect(attempts).toHaveLength(6);
      expect(await queue.deadLetters('strict').list()).toEqual([]);
    },
  );
}

/** A queue lets the handler, or an option, say that a job is not tried again, and when it is. */
export function honoursRetryDecisions(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a job whose handler throws an UnrecoverableError is buried at once', async () => {
    const queue = await openUp();
    const attempts: number[] = [];
    const deadLettered = nextEvent(queue, 'dead-lettered');
    queue.process('hopeless', ({ attempt }) => {
      attempts.push(attempt);
      throw new UnrecoverableError('no such user');
    });
    await queue.enqueue('hopeless', 1, { jobId: 'h' });
    await expect(deadLettered).resolves.toMatchObject({
      id: 'h',
      attempts: 1,
      reason: 'UnrecoverableError: no such user',
    });
    expect(attempts).toEqual([1]);
  });

  test('the option retry is asked with each failure, and buries a job or says when it is tried again', async () => {
    const queue = await openUp();
    const asked: unknown[] = [];
    const deadLettered = nextEvent(queue, 'dead-lettered');
    queue.process(
      'asked',
      ({ attempt }) => {
        throw new Error(`attempt ${attempt}`);
      },
      {
        maxAttempts: 9,
        retryDelayMs: 3_600_000,
        retry(error, attempt) {
          asked.push([String(error), attempt]);
          return attempt === 3 ? 'bury' : 1;
        },
      },
    );
    await queue.enqueue('asked', 1, { jobId: 'a' });
    await expect(deadLettered).resolves.toMatchObject({ id: 'a', attempts: 3 });
    expect(asked).toEqual([
      ['Error: attempt 1', 1],
      ['Error: attempt 2', 2],
      ['Error: attempt 3', 3],
    ]);
  });

  test('a handler that takes too long is told by its signal, and its job is tried again when it has ended', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    let running = 0;
    const timedOut = nextEvent(queue, 'timed-out');
    queue.process(
      'slow',
      async (job, { signal }) => {
        running += 1;
        expect(running).toBe(1);
        if (job.attempt === 1) await once(signal, 'abort');
        running -= 1;
        signal.throwIfAborted();
        take(job);
      },
      { timeoutMs: 20, retryDelayMs: 1, concurrency: 2 },
    );
    await queue.enqueue('slow', 1, { jobId: 's' });
    await expect(timedOut).resolves.toMatchObject({ id: 's', attempt: 1, timeoutMs: 20 });
    await reached(1);
    expect(jobs).toMatchObject([{ id: 's', attempt: 2 }]);
  });
}

/** A queue redrives dead letters. */
export function honoursRedrive(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a dead letter has the reason of its failure, and is handled under its id after being redriven', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const deadLettered = nextEvent(queue, 'dead-lettered');
    let isRepaired = false;
    queue.process(
      'broken',
      (job) => {
        if (!isRepaired) throw new Error('no luck');
        take(job);
      },
      { maxAttempts: 1 },
    );
    await queue.enqueue('broken', { n: 1 }, { jobId: 'd' });
    await deadLettered;
    const letters = queue.deadLetters('broken');
    let listed = await letters.list();
    while (listed.length === 0) listed = await letters.list();
    expect(listed).toMatchObject([{ id: 'd', payload: { n: 1 }, reason: 'Error: no luck' }]);
    isRepaired = true;
    expect(await letters.redrive()).toBe(1);
    await reached(1);
    expect(jobs).toMatchObject([{ id: 'd', attempt: 1, history: ['Error: no luck'] }]);
  });
}

/** A queue handles waiting jobs by priority, and lists them. */
export function honoursWaitingJobs(openUp: OpenContractQueue, test: DeclareTest): void {
  test('jobs of a higher priority are handled before waiting ones', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await queue.enqueueMany('urgent', [
      { payload: 'low', priority: 'low' },
      { payload: 1 },
      { payload: 2, priority: 'normal' },
      { payload: 'high', priority: 'high' },
    ]);
    // The first consumer discovers the subqueues of the topic.
    await queue.process('urgent', take, { maxPerSecond: 1 }).close();
    queue.process('urgent', take, { concurrency: 1 });
    await reached(4);
    const handled = jobs.map(({ payload }) => payload);
    expect(handled.filter((payload) => payload !== 'low' && payload !== 'high')).toEqual([1, 2]);
    expect(handled.indexOf('high')).toBeLessThan(handled.indexOf('low'));
  });

  test('waiting jobs are listed with their payload, delay and priority', async () => {
    const queue = await openUp();
    await queue.enqueueMany('seen', [
      { payload: { to: 'ada' }, jobId: 'a' },
      { payload: 2, jobId: 'b', priority: 'high' },
      { payload: 3, jobId: 'c', delayMs: 3_600_000 },
    ]);
    const topic = queue.inspect('seen');
    expect(await topic.counts()).toEqual({ waiting: 2, pending: 0, delayed: 1, dead: 0 });
    const waiting = await topic.peek('waiting');
    expect(waiting.toSorted((one, other) => (one.id < other.id ? -1 : 1))).toEqual([
      { id: 'a', payload: { to: 'ada' }, enqueuedAtMs: expect.any(Number), attempts: 0 },
      { id: 'b', payload: 2, enqueuedAtMs: expect.any(Number), attempts: 0, priority: 'high' },
    ]);
    const [delayed] = await topic.peek('delayed', { limit: 1 });
    expect(delayed).toMatchObject({ id: 'c', payload: 3 });
    // The store adds the delay to its own time.
    const lateMs = (delayed?.dueAtMs ?? 0) - (delayed?.enqueuedAtMs ?? 0) - 3_600_000;
    expect(Math.abs(lateMs)).toBeLessThan(60_000);
    await expect(topic.peek('waiting', { limit: 0 })).rejects.toMatchObject({ field: 'limit' });
    expect(() => queue.inspect('')).toThrow(expect.objectContaining({ field: 'topic' }));
  });
}
