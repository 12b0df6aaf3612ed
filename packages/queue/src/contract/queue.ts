import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { QueueOptions } from '../options.ts';
import type { Job, NewJob, Queue } from '../queue.ts';
import { type StoreGuarantee, testsWithout } from './guarantees.ts';

/** A queue whose server is up, and what closes both. */
export interface OpenQueue {
  readonly queue: Queue;
  close(): Promise<void>;
}

/**
 * What every queue owes its callers; each adapter's test is this call.
 * @param open makes one with these options besides its own.
 * @param options.without what its store does not promise; the tests of that are left out by name.
 */
export function honoursQueueContract(
  open: (options: Pick<QueueOptions, 'topics'>) => Promise<OpenQueue>,
  { without = [] }: { without?: readonly StoreGuarantee[] } = {},
): void {
  const testWith = testsWithout(without);
  const opened: OpenQueue[] = [];
  const openUp = async (options: Pick<QueueOptions, 'topics'> = {}): Promise<Queue> => {
    const one = await open(options);
    opened.push(one);
    await one.queue.ready();
    return one.queue;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });

  test('a job is accepted and handled once, as it was enqueued', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    queue.process('mail', take);
    const payload = { to: 'ada', tags: ['a', 'ü'], nested: { n: 1.5, none: null } };
    const accepted = await queue.enqueue('mail', payload, { jobId: 'first' });
    expect(accepted).toEqual({ id: 'first', accepted: queue.current });
    await reached(1);
    expect(jobs).toEqual([
      { id: 'first', topic: 'mail', payload, attempt: 1, enqueuedAtMs: expect.any(Number) },
    ]);
  });

  test('jobs of one topic are handled in order, one at a time when asked so', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await Promise.all(Array.from({ length: 100 }, (_, n) => queue.enqueue('ordered', n)));
    queue.process('ordered', take, { concurrency: 1 });
    await reached(100);
    expect(jobs.map(({ payload }) => payload)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test('jobs enqueued together are accepted together and handled in their order', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const many = Array.from({ length: 50 }, (_, n) => ({ payload: n }));
    const accepted = await queue.enqueueMany('many', many);
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(50);
    queue.process('many', take, { concurrency: 1 });
    await reached(50);
    expect(jobs.map(({ payload }) => payload)).toEqual(many.map(({ payload }) => payload));
  });

  test('a delayed job is handled after its delay, and one without before it', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    queue.process('later', take, { concurrency: 1 });
    const delayed = { payload: 'delayed', delayMs: 300 };
    await queue.enqueueMany('later', [delayed, { payload: 'at once' }]);
    await reached(2);
    expect(jobs.map(({ payload }) => payload)).toEqual(['at once', 'delayed']);
  });

  test('a second consumer of a name is refused while the first is there', async () => {
    const queue = await openUp();
    const first = queue.process('named', () => undefined, { name: 'one' });
    queue.process('named', () => undefined, { name: 'two' });
    expect(() => queue.process('named', () => undefined, { name: 'one' })).toThrow(
      expect.objectContaining({ code: 'QUEUE_DUPLICATE_CONSUMER' }),
    );
    await first.close();
    queue.process('named', () => undefined, { name: 'one' });
  });

  testWith(
    'keys',
    'jobs of one key are handled one after the other in their order, and a failing one holds up its own only',
    async () => {
      const queue = await openUp({ topics: { keyed: { partitions: 2 } } });
      const { jobs, take, reached } = collect();
      // Of two partitions, these keys pick one each.
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
    },
  );

  testWith(
    'keys',
    'a job whose attempts are used up holds up those of its key where that was asked for',
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

  test('urgent jobs are handled before those that wait', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await queue.enqueueMany('urgent', [
      { payload: 'low', priority: 'low' },
      { payload: 1 },
      { payload: 2, priority: 'normal' },
      { payload: 'high', priority: 'high' },
    ]);
    // What a topic has is found out by looking at it once.
    await queue.process('urgent', take, { maxPerSecond: 1 }).close();
    queue.process('urgent', take, { concurrency: 1 });
    await reached(4);
    const handled = jobs.map(({ payload }) => payload);
    expect(handled.filter((payload) => payload !== 'low' && payload !== 'high')).toEqual([1, 2]);
    expect(handled.indexOf('high')).toBeLessThan(handled.indexOf('low'));
  });

  test('jobs that wait are seen as they were enqueued, with what is asked of them', async () => {
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
    expect(delayed?.dueAtMs).toBe((delayed?.enqueuedAtMs ?? 0) + 3_600_000);
    await expect(topic.peek('waiting', { limit: 0 })).rejects.toMatchObject({ field: 'limit' });
    expect(() => queue.inspect('')).toThrow(expect.objectContaining({ field: 'topic' }));
  });

  test('topics are handled apart', async () => {
    const queue = await openUp();
    const left = collect();
    const right = collect();
    queue.process('left', left.take);
    queue.process('right', right.take);
    await Promise.all([queue.enqueue('left', 'l'), queue.enqueue('right', 'r')]);
    await Promise.all([left.reached(1), right.reached(1)]);
    expect([...left.jobs, ...right.jobs].map(({ payload }) => payload)).toEqual(['l', 'r']);
  });

  testWith('deduplication', 'of several jobs with one id only the first is handled', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await queue.enqueue('unique', 1, { jobId: 'same' });
    await expect(queue.enqueue('unique', 2, { jobId: 'same' })).resolves.toMatchObject({
      duplicate: true,
    });
    await queue.enqueue('unique', 3);
    queue.process('unique', take, { concurrency: 1 });
    await reached(2);
    expect(jobs.map(({ payload }) => payload)).toEqual([1, 3]);
  });

  test('a failed job is tried again, and reaches the dead letters when its attempts are used up', async () => {
    const queue = await openUp();
    const attempts: number[] = [];
    const buried = nextEvent(queue, 'dead-lettered');
    queue.process(
      'doomed',
      ({ attempt }) => {
        attempts.push(attempt);
        throw new Error('no luck');
      },
      { maxAttempts: 3, retryDelayMs: 1 },
    );
    await queue.enqueue('doomed', 1, { jobId: 'd' });
    await expect(buried).resolves.toMatchObject({ id: 'd', attempts: 3, reason: 'Error: no luck' });
    expect(attempts).toEqual([1, 2, 3]);
  });

  test('a dead letter says why, and is handled under its id when it was redriven', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const buried = nextEvent(queue, 'dead-lettered');
    let isMended = false;
    queue.process(
      'broken',
      (job) => {
        if (!isMended) throw new Error('no luck');
        take(job);
      },
      { maxAttempts: 1 },
    );
    await queue.enqueue('broken', { n: 1 }, { jobId: 'd' });
    await buried;
    const letters = queue.deadLetters('broken');
    let listed = await letters.list();
    while (listed.length === 0) listed = await letters.list();
    expect(listed).toMatchObject([{ id: 'd', payload: { n: 1 }, reason: 'Error: no luck' }]);
    isMended = true;
    expect(await letters.redrive()).toBe(1);
    await reached(1);
    expect(jobs).toMatchObject([{ id: 'd', attempt: 1, history: ['Error: no luck'] }]);
  });

  test('a closed consumer leaves its topic to the next one', async () => {
    const queue = await openUp();
    const first = collect();
    const consumer = queue.process('relay', first.take);
    await queue.enqueue('relay', 1);
    await first.reached(1);
    await consumer.close();
    await queue.enqueue('relay', 2);
    const second = collect();
    queue.process('relay', second.take);
    await second.reached(1);
    expect(first.jobs).toHaveLength(1);
    expect(second.jobs.map(({ payload }) => payload)).toEqual([2]);
  });

  test('what cannot be a job is refused, and nothing of it is kept', async () => {
    const queue = await openUp();
    const refused = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field });
    await expect(queue.enqueue('', 1)).rejects.toEqual(refused('topic'));
    await expect(queue.enqueue('a\nb', 1)).rejects.toEqual(refused('topic'));
    await expect(queue.enqueue('t', undefined)).rejects.toEqual(refused('payload'));
    await expect(queue.enqueue('t', { deep: [() => 1] })).rejects.toEqual(
      refused('payload.deep[0]'),
    );
    await expect(queue.enqueue('t', 1, { jobId: '' })).rejects.toEqual(refused('jobId'));
    const unknown: object = { delay: 5 };
    await expect(queue.enqueue('t', 1, unknown)).rejects.toEqual(refused('delay'));
    await expect(queue.enqueue('t', 1, { delayMs: -1 })).rejects.toEqual(refused('delayMs'));
    await expect(queue.enqueue('t', 1, { key: 'k' })).rejects.toEqual(refused('key'));
    const level: object = { priority: 'urgent' };
    await expect(queue.enqueue('t', 1, level)).rejects.toEqual(refused('priority'));
    const [good, bad] = [{ payload: 1 }, { payload: 2, delayMs: 0.5 }];
    await expect(queue.enqueueMany('t', [good, bad])).rejects.toEqual(refused('jobs[1].delayMs'));
    const enqueueAll = (jobs: NewJob[]): unknown => queue.enqueueMany('t', jobs);
    const many = (jobs: unknown): unknown => Reflect.apply(enqueueAll, undefined, [jobs]);
    await expect(many({ payload: 1 })).rejects.toEqual(refused('jobs'));
    await expect(many([good, null])).rejects.toEqual(refused('jobs[1]'));
    expect(queue.getStats()).toMatchObject({
      acceptedByRedis: 0,
      acceptedByFallback: 0,
      pending: 0,
    });
  });

  test('a closed queue accepts nothing, and closing twice is closing once', async () => {
    const queue = await openUp();
    await Promise.all([queue.close(), queue.close()]);
    await expect(queue.enqueue('t', 1)).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
    expect(() => queue.process('t', () => undefined)).toThrow(
      expect.objectContaining({ code: 'QUEUE_CLOSED' }),
    );
  });
}

function collect(): {
  jobs: Job[];
  take: (job: Job) => void;
  reached: (n: number) => Promise<void>;
} {
  const jobs: Job[] = [];
  let tell: (() => void) | undefined;
  return {
    jobs,
    take(job) {
      jobs.push(job);
      tell?.();
    },
    async reached(count) {
      while (jobs.length < count) {
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
    },
  };
}
