import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { collect } from './collect.ts';
import type { DeclareTest, OpenContractQueue } from './guarantees.ts';

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
    queue.process('stale', fail, { retryDelayMs: LASTS_MS + 100, maxAttempts: 5 });
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
