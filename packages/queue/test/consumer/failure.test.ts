import { expect, test } from '@jest/globals';
import { boundedHistory, failureOf } from '../../src/consumer/failure.ts';
import { retryDelays } from '../../src/consumer/attempts.ts';

test('a reason is kept as it is up to a thousand characters, and cut then', () => {
  expect(failureOf('x'.repeat(1_000)).reason).toBe('x'.repeat(1_000));
  expect(failureOf('x'.repeat(1_001)).reason).toBe(`${'x'.repeat(999)}…`);
  expect(failureOf('no error').stack).toBeUndefined();
  expect(failureOf(new Error('seen'))).toMatchObject({ reason: 'Error: seen' });
});

test('half a character is not left at the cut', () => {
  const { reason } = failureOf('😀'.repeat(600));
  expect(reason.isWellFormed()).toBe(true);
  expect(reason.length).toBeLessThanOrEqual(1_000);
});

test('a stack is bounded as well, and one that throws is none', () => {
  const error = new Error('deep');
  error.stack = 'y'.repeat(8_001);
  expect(failureOf(error).stack).toHaveLength(8_000);
  error.stack = 'y'.repeat(8_000);
  expect(failureOf(error).stack).toBe(error.stack);
  const hostile = new Error('hostile');
  Object.defineProperty(hostile, 'stack', {
    get: () => {
      throw new Error('no');
    },
  });
  expect(failureOf(hostile)).toEqual({ reason: 'Error: hostile' });
});

test('the latest nine reasons are kept, so that the next one has room', () => {
  const reasons = (count: number): string[] => Array.from({ length: count }, (_, n) => `${n}`);
  expect(boundedHistory(reasons(9))).toEqual(reasons(9));
  expect(boundedHistory(reasons(11))).toEqual(reasons(11).slice(2));
  expect(boundedHistory(['z'.repeat(1_001)])[0]).toHaveLength(1_000);
});

test('the delays between attempts double up to a minute, or stay at a longer first one', () => {
  const middle = (): number => 0.5;
  const delayMs = retryDelays(1_000, middle);
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((attempt) => delayMs(attempt));
  for (const [at, delay] of delays.entries()) {
    const ideal = Math.min(60_000, 1_000 * 2 ** at);
    expect(delay / ideal).toBeGreaterThan(0.5);
    expect(delay / ideal).toBeLessThan(1.5);
  }
  expect(retryDelays(300_000, middle)(1)).toBeGreaterThan(150_000);
  expect(retryDelays(300_000, middle)(9)).toBeLessThan(450_000);
});
