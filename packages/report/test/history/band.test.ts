import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { bandOf, judge, median } from '../../src/history/band.ts';

test('the band is the median and 3.5 scores of the median absolute deviation', () => {
  const values = [1_000, 1_100, 900, 1_200, 800, 1_000, 5_000];
  expect(median(values)).toBe(1_000);
  expect(median([1, 2, 3, 10])).toBe(2.5);
  // One extreme value moves neither the median nor the deviation.
  expect(bandOf(values).highMs).toBeCloseTo(1_000 + (3.5 / 0.6745) * 100);
});

test('a tenth and 50 ms are inside the band of values without noise', () => {
  const steady = (valueMs: number): number[] => Array.from({ length: 20 }, () => valueMs);
  expect(bandOf(steady(10)).highMs).toBe(60);
  expect(bandOf(steady(10_000)).highMs).toBe(11_000);
});

test('a slow run is suspect, and a regression when most of the newest three are slow', () => {
  const usual = [1_000, 1_020, 980, 1_010, 990, 1_000, 1_030, 970];
  expect(judge([...usual, 1_000, 1_000, 2_000]).verdict).toBe('suspect');
  expect(judge([...usual, 1_000, 2_000, 2_000]).verdict).toBe('regressed');
  expect(judge([...usual, 2_000, 2_000, 1_000]).verdict).toBe('within');
  expect(judge([1_000, 1_000, 2_000, 2_000]).verdict).toBe('unknown');
  expect(judge([]).verdict).toBe('unknown');
});

/** Times with normal noise of 5 %, by the method of Box and Muller. */
function noisy(random: () => number, medianMs: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return medianMs * (1 + 0.05 * normal);
}

test('of 1 000 runs without a change at most one in a hundred is called a regression', () => {
  const random = seededRandom(7);
  const values = Array.from({ length: 1_023 }, () => noisy(random, 2_000));
  const alarms = values.filter(
    (_, index) => index >= 22 && judge(values.slice(0, index + 1)).verdict === 'regressed',
  );
  expect(alarms.length).toBeLessThanOrEqual(10);
});

test('of 200 slowdowns by a fifth at least 95 % are found within five runs', () => {
  const random = seededRandom(11);
  const found = Array.from({ length: 200 }, () => {
    const before = Array.from({ length: 23 }, () => noisy(random, 2_000));
    const after = Array.from({ length: 5 }, () => noisy(random, 2_400));
    return after.some(
      (_, index) => judge([...before, ...after.slice(0, index + 1)]).verdict === 'regressed',
    );
  }).filter(Boolean);
  expect(found.length).toBeGreaterThanOrEqual(190);
});
