import { afterEach, expect, test } from '@jest/globals';
import type { QueueOptions } from '../options.ts';
import type { NewJob, Queue } from '../queue.ts';
import { collect } from './collect.ts';
import {
  honoursArguments,
  honoursFullControl,
  honoursJobControl,
  honoursJobOptions,
  honoursPause,
  honoursPurge,
} from './control.ts';
import {
  type DeclareTest,
  type OpenContractQueue,
  type StoreGuarantee,
  group,
  testsWithout,
} from './guarantees.ts';
import {
  honoursAttempts,
  honoursKeys,
  honoursRedrive,
  honoursRetryDecisions,
  honoursWaitingJobs,
} from './handling.ts';
import { honoursMissingResults, honoursProgress, honoursResults } from './results.ts';
import { honoursLimitedControl, honoursLimits } from './sharing/limits.ts';
import { honoursSchedules } from './sharing/schedules.ts';
import { honoursDebounce, honoursExpiry } from './sharing/windows.ts';

/** A queue whose server is up, and a function that closes both. */
export interface OpenQueue {
  readonly queue: Queue;
  close(): Promise<void>;
}

/**
 * The guarantees of a queue to its callers; each adapter's test calls this function.
 * @param open creates a queue with these options besides its own.
 * @param options.without the guarantees that its store does not give; their tests are skipped by name.
 */
export function honoursQueueContract(
  open: (options: Pick<QueueOptions, 'topics'>) => Promise<OpenQueue>,
  { without = [] }: { without?: readonly StoreGuarantee[] } = {},
): void {
  const testFor = testsWithout(without);
  const opened: OpenQueue[] = [];
  const openUp: OpenContractQueue = async (options = {}) => {
    const one = await open(options);
    opened.push(one);
    await one.queue.ready();
    return one.queue;
  };
  afterEach(async () => {
    const ends = await Promise.allSettled(opened.splice(0).map((one) => one.close()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });

  group('enqueue', () => honoursEnqueue(openUp));
  group('consumers', () => honoursConsumers(openUp));
  group('rejections', () => honoursRejections(openUp, testFor('deduplication')));
  group('keys', () => honoursKeys(openUp, testFor('keys')));
  group('attempts', () => honoursAttempts(openUp, test, testFor('keys')));
  group('retries', () => honoursRetryDecisions(openUp, test));
  group('redriving', () => honoursRedrive(openUp, test));
  group('schedules', () => honoursSchedules(openUp, testFor('schedules')));
  group('limits', () => honoursLimits(openUp, testFor('limits')));
  const forBoth = testFor(without.includes('limits') ? 'limits' : 'full-control');
  group('control under limits', () => honoursLimitedControl(openUp, forBoth));
  group('debounce', () => honoursDebounce(openUp, testFor('debounce')));
  group('expiry', () => honoursExpiry(openUp, testFor('expiry')));
  group('waiting jobs', () => honoursWaitingJobs(openUp, test));
  group('results', () => honoursResults(openUp, testFor('outcomes')));
  group('missing results', () => honoursMissingResults(openUp, testFor('outcomes')));
  group('progress', () => honoursProgress(openUp, testFor('outcomes')));
  group('options of jobs', () => honoursJobOptions(openUp, test));
  group('pausing', () => honoursPause(openUp, testFor('operations')));
  group('arguments', () => honoursArguments(openUp, testFor('operations')));
  group('control of jobs', () => honoursJobControl(openUp, testFor('operations')));
  group('control of held jobs', () => honoursFullControl(openUp, testFor('full-control')));
  group('purging', () => honoursPurge(openUp, testFor('operations')));
}

/** A queue handles each accepted job once, in order, as it was enqueued. */
function honoursEnqueue(openUp: OpenContractQueue): void {
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

  test('with concurrency 1, the jobs of one topic are handled in order', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await Promise.all(Array.from({ length: 100 }, (_, n) => queue.enqueue('ordered', n)));
    queue.process('ordered', take, { concurrency: 1 });
    await reached(100);
    expect(jobs.map(({ payload }) => payload)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test('jobs of one enqueueMany are all accepted, and handled in their order', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const many = Array.from({ length: 50 }, (_, n) => ({ payload: n }));
    const accepted = await queue.enqueueMany('many', many);
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(50);
    queue.process('many', take, { concurrency: 1 });
    await reached(50);
    expect(jobs.map(({ payload }) => payload)).toEqual(many.map(({ payload }) => payload));
  });

  test('a delayed job is handled after its delay, and behind one without a delay', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    queue.process('later', take, { concurrency: 1 });
    const delayed = { payload: 'delayed', delayMs: 300 };
    await queue.enqueueMany('later', [delayed, { payload: 'at once' }]);
    await reached(2);
    expect(jobs.map(({ payload }) => payload)).toEqual(['at once', 'delayed']);
  });

  test('topics are handled independently', async () => {
    const queue = await openUp();
    const left = collect();
    const right = collect();
    queue.process('left', left.take);
    queue.process('right', right.take);
    await Promise.all([queue.enqueue('left', 'l'), queue.enqueue('right', 'r')]);
    await Promise.all([left.reached(1), right.reached(1)]);
    expect([...left.jobs, ...right.jobs].map(({ payload }) => payload)).toEqual(['l', 'r']);
  });
}

/** A queue has one consumer of each name, and no consumer after it is closed. */
function honoursConsumers(openUp: OpenContractQueue): void {
  test('a second consumer of the same name is rejected until the first is closed', async () => {
    const queue = await openUp();
    const first = queue.process('named', () => undefined, { name: 'one' });
    queue.process('named', () => undefined, { name: 'two' });
    expect(() => queue.process('named', () => undefined, { name: 'one' })).toThrow(
      expect.objectContaining({ code: 'QUEUE_DUPLICATE_CONSUMER' }),
    );
    await first.close();
    queue.process('named', () => undefined, { name: 'one' });
  });

  test('after a consumer is closed, the next one handles the jobs of its topic', async () => {
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

  test('a closed queue accepts nothing, and may be closed twice', async () => {
    const queue = await openUp();
    await Promise.all([queue.close(), queue.close()]);
    await expect(queue.enqueue('t', 1)).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
    expect(() => queue.process('t', () => undefined)).toThrow(
      expect.objectContaining({ code: 'QUEUE_CLOSED' }),
    );
  });
}

/** A queue rejects invalid jobs, and skips duplicates. */
function honoursRejections(openUp: OpenContractQueue, testDeduplication: DeclareTest): void {
  testDeduplication('of several jobs with one id only the first is handled', async () => {
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

  testDeduplication(
    'of a list with one id several times, its first job is the accepted one',
    async () => {
      const queue = await openUp();
      const ids = ['a', 'b', 'a', 'c', 'a', 'b'];
      const list = ids.map((jobId, payload) => ({ payload, jobId }));
      const duplicates = async (): Promise<boolean[]> => {
        const answers = await queue.enqueueMany('unique', list);
        expect(answers.map(({ id }) => id)).toEqual(ids);
        return answers.map(({ duplicate = false }) => duplicate);
      };
      expect(await duplicates()).toEqual([false, false, true, false, true, true]);
      expect(await duplicates()).toEqual(ids.map(() => true));
      const { jobs, take, reached } = collect();
      queue.process('unique', take, { concurrency: 1 });
      await reached(3);
      expect(jobs.map(({ payload }) => payload)).toEqual([0, 1, 3]);
    },
  );

  test('an invalid job is rejected, and no part of it is accepted', async () => {
    const queue = await openUp();
    const rejected = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field });
    await expect(queue.enqueue('', 1)).rejects.toEqual(rejected('topic'));
    await expect(queue.enqueue('a\nb', 1)).rejects.toEqual(rejected('topic'));
    await expect(queue.enqueue('t', undefined)).rejects.toEqual(rejected('payload'));
    await expect(queue.enqueue('t', { deep: [() => 1] })).rejects.toEqual(
      rejected('payload.deep[0]'),
    );
    await expect(queue.enqueue('t', 1, { jobId: '' })).rejects.toEqual(rejected('jobId'));
    const unknown: object = { delay: 5 };
    await expect(queue.enqueue('t', 1, unknown)).rejects.toEqual(rejected('delay'));
    await expect(queue.enqueue('t', 1, { delayMs: -1 })).rejects.toEqual(rejected('delayMs'));
    await expect(queue.enqueue('t', 1, { key: 'k' })).rejects.toEqual(rejected('key'));
    const level: object = { priority: 'urgent' };
    await expect(queue.enqueue('t', 1, level)).rejects.toEqual(rejected('priority'));
    const [good, bad] = [{ payload: 1 }, { payload: 2, delayMs: 0.5 }];
    await expect(queue.enqueueMany('t', [good, bad])).rejects.toEqual(rejected('jobs[1].delayMs'));
    const enqueueAll = (jobs: NewJob[]): unknown => queue.enqueueMany('t', jobs);
    const many = (jobs: unknown): unknown => Reflect.apply(enqueueAll, undefined, [jobs]);
    await expect(many({ payload: 1 })).rejects.toEqual(rejected('jobs'));
    await expect(many([good, null])).rejects.toEqual(rejected('jobs[1]'));
    expect(queue.getStats()).toMatchObject({
      acceptedByRedis: 0,
      acceptedByFallback: 0,
      pending: 0,
    });
  });
}
