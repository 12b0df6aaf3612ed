import { expect, test } from '@jest/globals';
import type { PublishedJob } from '../../src/backend.ts';
import { ResendBuffer } from '../../src/state/resend-buffer.ts';

function job(sequence: number, characters = 10): PublishedJob {
  const payload = 'x'.repeat(characters);
  return { sequence, id: `${sequence}`, unique: false, enqueuedAtMs: 0, dueAtMs: 0, payload };
}

const sequences = (jobs: readonly PublishedJob[]): number[] => jobs.map(({ sequence }) => sequence);

test('jobs are kept for the retention time, counted back from the last confirmation', () => {
  const buffer = new ResendBuffer(1_000, { leftCharacters: 1_000 });
  buffer.add([job(1), job(2)], 0);
  buffer.add([job(3)], 900);
  expect(sequences(buffer.confirmedAfter(0, 1_000))).toEqual([1, 2, 3]);
  expect(sequences(buffer.confirmedAfter(1, 1_000))).toEqual([2, 3]);
  expect(sequences(buffer.confirmedAfter(0, 1_001))).toEqual([3]);
  buffer.touch(5_000);
  expect(sequences(buffer.confirmedAfter(0, 5_500))).toEqual([1, 2, 3]);
});

test('expired jobs are dropped when others are added', () => {
  const budget = { leftCharacters: 1_000 };
  const buffer = new ResendBuffer(1_000, budget);
  buffer.add([job(1)], 0);
  buffer.add([job(2)], 2_000);
  expect(sequences(buffer.confirmedAfter(0, 0))).toEqual([2]);
  expect(budget.leftCharacters).toBe(990);
});

test('topics share one budget, and the topic that exceeds it drops its oldest jobs', () => {
  const budget = { leftCharacters: 45 };
  const [left, right] = [new ResendBuffer(1_000, budget), new ResendBuffer(1_000, budget)];
  left.add([job(1)], 0);
  right.add([job(1), job(2)], 0);
  left.add([job(2), job(3)], 1);
  expect(sequences(left.confirmedAfter(0, 1))).toEqual([2, 3]);
  expect(sequences(right.confirmedAfter(0, 1))).toEqual([1, 2]);
  left.add([job(4, 100)], 2);
  expect(sequences(left.confirmedAfter(0, 2))).toEqual([]);
  expect(budget.leftCharacters).toBe(25);
});

test('with a retention time of 0, no job is kept', () => {
  const budget = { leftCharacters: 100 };
  const buffer = new ResendBuffer(0, budget);
  buffer.add([job(1)], 0);
  expect(buffer.confirmedAfter(0, 0)).toEqual([]);
  expect(budget.leftCharacters).toBe(100);
});
