import { expect, test } from '@jest/globals';
import { MAX_BATCH_CHARACTERS, MAX_BATCH_JOBS, inBatches } from '../src/batch-limits.ts';

const job = (characters: number): { payload: string } => ({ payload: 'x'.repeat(characters) });

test.each([
  ['no job', 0, 10, []],
  ['one job', 1, 10, [1]],
  ['as many jobs as a batch holds', MAX_BATCH_JOBS, 10, [MAX_BATCH_JOBS]],
  ['one job more', MAX_BATCH_JOBS + 1, 10, [MAX_BATCH_JOBS, 1]],
  ['as much payload as a batch holds', 2, MAX_BATCH_CHARACTERS / 2, [2]],
  ['one character more', 2, MAX_BATCH_CHARACTERS / 2 + 1, [1, 1]],
  ['jobs larger than a batch', 3, MAX_BATCH_CHARACTERS + 1, [1, 1, 1]],
])('%s: batches are bounded by jobs and by payload', (_, count, characters, sizes) => {
  const jobs = Array.from({ length: count }, () => job(characters));
  const batches = inBatches(jobs);
  expect(batches.map(({ length }) => length)).toEqual(sizes);
  expect(batches.flat()).toEqual(jobs);
});
