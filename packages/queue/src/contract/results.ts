import { once } from 'node:events';
import { expect } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { StandardSchema } from '../producer/schema.ts';
import type { DeclareTest, OpenContractQueue } from './guarantees.ts';

/** Whoever has the id of a job learns how it ended. */
export function honoursResults(openUp: OpenContractQueue, test: DeclareTest): void {
  test('what a handler returns is the result of its job, asked for before and after its end', async () => {
    const queue = await openUp();
    const { id } = await queue.enqueue('sums', [1, 2]);
    const early = queue.result('sums', id);
    const add = ([one = 0, other = 0]: number[]): unknown => ({ sum: one + other });
    queue.process('sums', ({ payload }) => add(Object(payload)), { keepResults: true });
    expect(await early).toEqual({ sum: 3 });
    expect(await queue.result('sums', id, { timeoutMs: 0 })).toEqual({ sum: 3 });
    const { id: next } = await queue.enqueue('sums', [3, 4]);
    expect(await queue.result('sums', next)).toEqual({ sum: 7 });
  });

  test('of jobs that end while many wait, each has its own result, and one without a result has undefined', async () => {
    const queue = await openUp();
    queue.process('many', ({ payload }) => (payload === 7 ? undefined : payload), {
      keepResults: { ttlMs: 60_000 },
    });
    const jobs = Array.from({ length: 40 }, (_, payload) => ({ payload }));
    const accepted = await queue.enqueueMany('many', jobs);
    const results = await Promise.all(accepted.map(({ id }) => queue.result('many', id)));
    expect(results).toEqual(jobs.map(({ payload }) => (payload === 7 ? undefined : payload)));
  });

  test('a dead letter rejects with its reason, and once it is redriven with the result of its last run', async () => {
    const queue = await openUp();
    let isRepaired = false;
    const run = (): string => {
      if (!isRepaired) throw new Error('no luck');
      return 'repaired';
    };
    queue.process('broken', run, { maxAttempts: 1, keepResults: true });
    const { id } = await queue.enqueue('broken', 1, { jobId: 'b' });
    await expect(queue.result('broken', id)).rejects.toMatchObject({
      code: 'QUEUE_RESULT_FAILED',
      reason: 'Error: no luck',
      attempts: 1,
    });
    isRepaired = true;
    expect(await queue.deadLetters('broken').redrive()).toBe(1);
    expect(await queue.result('broken', id)).toBe('repaired');
  });

  test('closing the queue ends the waits of its results', async () => {
    const queue = await openUp();
    const waiting = queue.result('t', 'none').catch((error: unknown) => error);
    await queue.close();
    expect(await waiting).toMatchObject({ code: 'QUEUE_CLOSED' });
    await expect(queue.result('t', 'none')).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
  });
}

/** Whoever asks for a result that is not there learns why. */
export function honoursMissingResults(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a result over its bound, or that JSON cannot hold, is not kept, and its job is handled', async () => {
    const queue = await openUp();
    const handled: unknown[] = [];
    queue.process(
      'bounds',
      ({ payload }) => {
        handled.push(payload);
        return payload === 'large' ? 'x'.repeat(100) : { at: [1n] };
      },
      { keepResults: { maxBytes: 50 } },
    );
    const jobs = [{ payload: 'large' }, { payload: 'big' }];
    const [large, big] = await queue.enqueueMany('bounds', jobs);
    await expect(queue.result('bounds', large?.id ?? '')).rejects.toMatchObject({
      code: 'QUEUE_RESULT_NOT_KEPT',
      why: 'too-large',
    });
    await expect(queue.result('bounds', big?.id ?? '')).rejects.toMatchObject({ why: 'not-json' });
    expect(handled).toEqual(['large', 'big']);
    expect(await queue.inspect('bounds').counts()).toMatchObject({ pending: 0, dead: 0 });
  });

  test('an outcome that is not there in time, has expired, or is asked for wrongly rejects as such', async () => {
    const queue = await openUp();
    const unknown = { code: 'QUEUE_RESULT_UNKNOWN' };
    const missing = (timeoutMs: number): unknown => queue.result('t', 'none', { timeoutMs });
    await expect(missing(0)).rejects.toMatchObject({ ...unknown, timeoutMs: 0 });
    await expect(missing(30)).rejects.toMatchObject({ ...unknown, timeoutMs: 30 });
    queue.process('t', () => 1, { keepResults: { ttlMs: 100 } });
    const { id } = await queue.enqueue('t', 1);
    expect(await queue.result('t', id)).toBe(1);
    const isThere = (): Promise<boolean> =>
      queue.result('t', id, { timeoutMs: 0 }).then(
        () => true,
        (error: unknown) => Object(error).code !== 'QUEUE_RESULT_EXPIRED',
      );
    while (await isThere()) await new Promise(setImmediate);
    const given = new AbortController();
    const aborted = queue.result('t', 'none', { signal: given.signal });
    given.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    await expect(queue.result('t', 'a\nb')).rejects.toMatchObject({ field: 'jobId' });
    await expect(queue.result('', id)).rejects.toMatchObject({ field: 'topic' });
    await expect(queue.result('t', id, { timeoutMs: -1 })).rejects.toMatchObject({
      field: 'timeoutMs',
    });
    const bad: object = { keepResults: { ttlMs: 0 } };
    expect(() => queue.process('t', () => 1, bad)).toThrow(
      expect.objectContaining({ field: 'keepResults.ttlMs' }),
    );
  });

  test('a schema of results refuses what does not fit, and its output is what the caller gets', async () => {
    const result = lengths();
    const queue = await openUp({ topics: { words: { result } } });
    queue.process('words', ({ payload }) => payload, { keepResults: true });
    const jobs = [{ payload: 'four' }, { payload: 4 }];
    const [fits, not] = await queue.enqueueMany('words', jobs);
    expect(await queue.result('words', fits?.id ?? '')).toBe(4);
    await expect(queue.result('words', not?.id ?? '')).rejects.toMatchObject({
      why: 'not-fitting',
    });
  });
}

/** Handlers tell how far they are. */
export function honoursProgress(openUp: OpenContractQueue, test: DeclareTest): void {
  test('progress is seen by whoever waits for the result, and asked for by id; the latest value is kept', async () => {
    const queue = await openUp();
    const seen: unknown[] = [];
    const half = new AbortController();
    const { id } = await queue.enqueue('steps', 1);
    const result = queue.result('steps', id, {
      onProgress(value) {
        seen.push(value);
        if (value === 0.5) half.abort();
      },
    });
    queue.process(
      'steps',
      async (job) => {
        expect(job.progress(() => 1)).toBe(false);
        expect(job.progress('x'.repeat(20_000))).toBe(false);
        expect(job.progress(0.5)).toBe(true);
        if (!half.signal.aborted) await once(half.signal, 'abort');
        for (let part = 6; part <= 9; part += 1) job.progress(part / 10);
        return 'done';
      },
      { keepResults: true },
    );
    expect(await result).toBe('done');
    expect(seen[0]).toBe(0.5);
    // The values in between are passed over.
    expect(seen.length).toBeLessThanOrEqual(3);
    expect(await queue.progress('steps', id)).toBe(0.9);
    expect(await queue.progress('steps', 'none')).toBeUndefined();
  });

  test('an attempt that fails may report as well, and after its end a job reports nothing', async () => {
    const queue = await openUp();
    const late: boolean[] = [];
    let before: { progress(value: unknown): boolean } | undefined;
    const deadLettered = nextEvent(queue, 'dead-lettered');
    queue.process(
      'failing',
      (job) => {
        if (before !== undefined) late.push(before.progress('late'));
        before = job;
        job.progress(`attempt ${job.attempt}`);
        throw new Error('no luck');
      },
      { maxAttempts: 2, retryDelayMs: 1 },
    );
    const { id } = await queue.enqueue('failing', 1);
    await deadLettered;
    while ((await queue.progress('failing', id)) !== 'attempt 2') await new Promise(setImmediate);
    expect(late).toEqual([false]);
  });
}

/** Takes strings, and puts out their lengths. */
function lengths(): StandardSchema<string, number> {
  return {
    '~standard': {
      validate: (value) =>
        typeof value === 'string' ? { value: value.length } : { issues: [{ message: 'no text' }] },
    },
  };
}
