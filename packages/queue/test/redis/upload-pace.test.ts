import { expect, test } from '@jest/globals';
import { UploadPace } from '../../src/redis/connection/upload-pace.ts';

test('a small command gets hardly more than its deadline, a large one the time of its bytes', () => {
  const pace = new UploadPace();
  expect(pace.allowanceMs(1_000)).toBeLessThan(10);
  expect(pace.allowanceMs(1_048_576)).toBeGreaterThan(1_500);
});

test('each large command without an answer lengthens the time, up to a bound, and answers shorten it again', () => {
  const pace = new UploadPace();
  const first = pace.allowanceMs(1_048_576);
  pace.timedOut(1_048_576);
  expect(pace.allowanceMs(1_048_576)).toBe(first * 4);
  for (let attempt = 0; attempt < 20; attempt += 1) pace.timedOut(1_048_576);
  expect(pace.allowanceMs(1_048_576)).toBeLessThanOrEqual(600_000);
  expect(pace.allowanceMs(64 * 1_048_576)).toBe(600_000);
  for (let answer = 0; answer < 10; answer += 1) pace.answered(1_048_576, 100);
  expect(pace.allowanceMs(1_048_576)).toBe(first);
});

test('small commands teach nothing, and one late answer little', () => {
  const pace = new UploadPace();
  const first = pace.allowanceMs(1_048_576);
  pace.timedOut(100);
  pace.answered(100, 5_000);
  expect(pace.allowanceMs(1_048_576)).toBe(first);
  pace.answered(100_000, 60_000);
  expect(pace.allowanceMs(1_048_576)).toBeLessThanOrEqual(first * 4);
});
