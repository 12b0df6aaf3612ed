import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { Debounce, PublishedJob, QueueBackend } from '../../backend.ts';
import { collect } from '../collect.ts';
import type { DeclareTest, OpenContractQueue } from '../guarantees.ts';
import { delayed as withDelay, job, publication, takeAll } from '../jobs.ts';

/** Enough for a job to be taken in time on a busy machine. */
const LASTS_MS = 2_000;

/** A queue drops jobs that are not worth running any more, and says so. */
export function honoursExpiry(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a job that has expired is not handled, but reported, counted and gone', async () => {
    const queue = await openUp();
    const expired = nextEvent(queue, 'expired');
    // It is handled once it is taken; by then, the first has expired for certain.
    await queue.enqueue('stale', 1, { expiresInMs: 1, jobId: 'old' });
    await queue.enqueue('stale', 2, { expiresInMs: 3_600_000, delayMs: 20 });
    await queue.enqueue('stale', 3, { priority: 'high', expiresInMs: 3_600_000 });
    await queue.enqueue('stale', 4, { delayMs: 40 });
    const { jobs, take, reached } = collect();
    queue.process('stale', take, { concurrency: 1 });
    await expect(expired).resolves.toMatchObject({ topic: 'stale', id: 'old', expiresInMs: 1 });
    await reached(3);
    expect(new Set(jobs.map(({ payload }) => payload))).toEqual(new Set([2, 3, 4]));
    expect(queue.getStats().expired).toBe(1);
    const { waiting, delayed, dead } = await queue.inspect('stale').counts();
    expect({ waiting, delayed, dead }).toEqual({ waiting: 0, delayed: 0, dead: 0 });
  });

  test('a job that expires while it waits for its next attempt is dropped', async () => {
    const queue = await openUp();
    const expired = nextEvent(queue, 'expired');
    let attempts = 0;
    const fail = (): never => {
      attempts += 1;
      throw new Error('not now');
    };
    queue.process('stale', fail, { retryDelayMs: 2 * LASTS_MS, maxAttempts: 5 });
    await queue.enqueue('stale', 1, { expiresInMs: LASTS_MS });
    await expired;
    expect(attempts).toBe(1);
  });

  test('a job that would expire before it is due is refused', async () => {
    const queue = await openUp();
    const bad = { delayMs: 10, expiresInMs: 10 };
    const refused = { code: 'INVALID_OPTION', field: 'expiresInMs' };
    await expect(queue.enqueue('stale', 1, bad)).rejects.toMatchObject(refused);
    await expect(queue.enqueue('stale', 1, { expiresInMs: -1 })).rejects.toMatchObject(refused);
  });

  test('a dead letter that is redriven runs, whatever its age', async () => {
    const queue = await openUp();
    const dead = nextEvent(queue, 'dead-lettered');
    const later = collect();
    queue.process('later', later.take);
    const consumer = queue.process('stale', () => Promise.reject(new Error('never')), {
      maxAttempts: 1,
    });
    await queue.enqueue('stale', 1, { expiresInMs: LASTS_MS, jobId: 'one' });
    await queue.enqueue('later', 1, { delayMs: LASTS_MS + 100 });
    await dead;
    await consumer.close();
    await later.reached(1);
    const { jobs, take, reached } = collect();
    queue.process('stale', take);
    await expect(queue.deadLetters('stale').redrive()).resolves.toBe(1);
    await reached(1);
    expect(jobs[0]).toMatchObject({ id: 'one', payload: 1 });
  });
}

/** A queue merges jobs of one key that are enqueued within a window. */
export function honoursDebounce(openUp: OpenContractQueue, test: DeclareTest): void {
  test('of the jobs of a window only the first is handled, and the others are told', async () => {
    const queue = await openUp();
    const debounce = { key: 'user 1', windowMs: 60_000 };
    const answers = await queue.enqueueMany('merged', [
      { payload: 1, debounce },
      { payload: 2, debounce },
      { payload: 3, debounce: { ...debounce, key: 'user 2' } },
    ]);
    expect(answers.map(({ duplicate = false }) => duplicate)).toEqual([false, true, false]);
    const { jobs, take, reached } = collect();
    await queue.enqueue('merged', 4);
    queue.process('merged', take, { concurrency: 1 });
    await reached(3);
    expect(jobs.map(({ payload }) => payload)).toEqual([1, 3, 4]);
  });

  test('of jobs that replace one another only the last is handled, once the window has passed', async () => {
    const queue = await openUp();
    const debounce = { key: 'user 1', windowMs: 300, mode: 'replace' } as const;
    for (const payload of [1, 2, 3]) {
      await expect(queue.enqueue('merged', payload, { debounce })).resolves.not.toHaveProperty(
        'duplicate',
      );
    }
    const { jobs, take, reached } = collect();
    queue.process('merged', take);
    await reached(1);
    await queue.enqueue('merged', 4, { debounce });
    await reached(2);
    expect(jobs.map(({ payload }) => payload)).toEqual([3, 4]);
    const { waiting, delayed } = await queue.inspect('merged').counts();
    expect({ waiting, delayed }).toEqual({ waiting: 0, delayed: 0 });
  });

  test('a window that is negative, or beside what it excludes, is refused', async () => {
    const queue = await openUp();
    const debounce = { key: 'k', windowMs: 10 };
    const refused = (field: string): object => ({ code: 'INVALID_OPTION', field });
    const replace = { ...debounce, mode: 'replace' } as const;
    for (const [field, options] of [
      ['debounce.windowMs', { debounce: { ...debounce, windowMs: -1 } }],
      ['jobId', { debounce: { ...debounce, key: '' } }],
      ['jobId', { debounce, jobId: 'mine' }],
      ['delayMs', { debounce: replace, delayMs: 1 }],
      ['expiresInMs', { debounce: replace, expiresInMs: 10 }],
    ] as const) {
      await expect(queue.enqueue('merged', 1, options)).rejects.toMatchObject(refused(field));
    }
  });
}

/** A store merges jobs by the times of their `enqueue` calls, not by when they arrive. */
export function honoursWindows(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  const windowMs = 1_000;
  /** The payload of each job is its number. */
  const merged = (mode: Debounce['mode'], ...times: number[]): PublishedJob[] =>
    times.map((enqueuedAtMs, index) => {
      const debounce = { key: 'k', windowMs, mode };
      const one: PublishedJob = Object.assign(job(index + 1), { enqueuedAtMs, debounce });
      // It was enqueued long ago: it is due.
      return mode === 'first' ? one : withDelay(one, -1);
    });
  const numbersAfter = async (
    backend: QueueBackend,
    jobs: readonly PublishedJob[],
    count: number,
  ): Promise<{ taken: string[]; duplicates: readonly string[] }> => {
    const { duplicates } = await backend.publish(publication({ jobs }));
    const deliveries = await takeAll(backend, count);
    return { taken: deliveries.map(({ id }) => id), duplicates };
  };

  test('after an outage, jobs of different windows arrive at once and are all delivered', async () => {
    const backend = await openUp();
    const jobs = merged('first', 10_000, 10_999, 11_000, 11_500, 12_000);
    await expect(numbersAfter(backend, jobs, 3)).resolves.toEqual({
      taken: ['job-1', 'job-3', 'job-5'],
      duplicates: ['job-2', 'job-4'],
    });
  });

  test('a job is replaced only by one of its own window, and never by an older one', async () => {
    const backend = await openUp();
    const jobs = merged('replace', 10_000, 10_900, 11_800, 11_700, 20_000);
    await expect(numbersAfter(backend, jobs, 2)).resolves.toEqual({
      taken: ['job-3', 'job-5'],
      duplicates: ['job-4'],
    });
  });

  test('a debounced job that is sent again is added once', async () => {
    const backend = await openUp();
    const jobs = merged('replace', 10_000, 10_500);
    await backend.publish(publication({ jobs }));
    await backend.publish(publication({ jobs }));
    await expect(takeAll(backend, 1)).resolves.toMatchObject([{ id: 'job-2' }]);
  });
}
