import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS } from '../../src/batch-limits.ts';
import type { StoredJob } from '../../src/fallback/record.ts';
import { TailCache } from '../../src/fallback/tail-cache.ts';

function job(place: number, characters = 1): StoredJob {
  const payload = 'x'.repeat(characters);
  const own = { id: String(place), unique: false, enqueuedAtMs: 0, dueAtMs: 0 };
  return { ...own, topic: 't', originEpoch: 1, sequence: place, payload };
}

function jobs(first: number, count: number): StoredJob[] {
  return Array.from({ length: count }, (_, index) => job(first + index));
}

test('a window of the cache holds the jobs that were added there, or nothing, after random additions', () => {
  const step = fc.record({
    skipped: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 })),
    count: fc.integer({ min: 1, max: 700 }),
    taken: fc.integer({ min: 0, max: 900 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const tail = new TailCache();
      let next = 1;
      let cursor = 1;
      let unbrokenFrom = 1;
      for (const { skipped, count, taken } of steps) {
        if (skipped > 0) unbrokenFrom = next + skipped;
        next += skipped;
        tail.add(next, jobs(next, count), cursor);
        next += count;
        const window = tail.window(cursor)?.map(({ sequence }) => sequence);
        const length = Math.min(MAX_BATCH_JOBS, next - cursor);
        const inOrder = Array.from({ length }, (_, index) => cursor + index);
        expect(window ?? inOrder).toEqual(inOrder);
        const isBroken = cursor < unbrokenFrom;
        expect(isBroken && window !== undefined).toBe(false);
        const isNear = cursor < next && next - cursor < 2 * MAX_BATCH_JOBS;
        expect(isNear && !isBroken && window === undefined).toBe(false);
        cursor = Math.min(next, cursor + taken);
        tail.dropBefore(cursor);
      }
      expect(tail.window(next)).toBeUndefined();
    }),
    { seed: 20_261_128 },
  );
});

test('a window is limited in characters, except for a single job', () => {
  const tail = new TailCache();
  const long = [job(1, MAX_BATCH_CHARACTERS + 1), job(2, MAX_BATCH_CHARACTERS), job(3)];
  tail.add(1, long, 1);
  expect(tail.window(1)).toHaveLength(1);
  expect(tail.window(2)).toHaveLength(1);
  expect(tail.window(3)).toHaveLength(1);
});

test('after an outage nothing is cached until the drain has caught up', () => {
  const tail = new TailCache();
  let next = 1;
  const add = (count: number, cursor: number): void => {
    tail.add(next, jobs(next, count), cursor);
    next += count;
  };
  for (let batch = 0; batch < 10; batch += 1) add(MAX_BATCH_JOBS, 1);
  for (let place = 1; place < next; place += 1) expect(tail.window(place)).toBeUndefined();
  const cursor = next - 10;
  add(5, cursor);
  expect(tail.window(cursor)).toBeUndefined();
  expect(tail.window(next - 5)).toHaveLength(5);
});
