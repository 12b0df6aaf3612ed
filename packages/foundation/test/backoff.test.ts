import { expect, test } from '@jest/globals';
import { assert, integer, property } from 'fast-check';
import {
  type Backoff,
  InvalidOptionError,
  type Random,
  decorrelatedBackoff,
  exponentialBackoff,
  seededRandom,
} from '@holdfast/foundation';

function take(backoff: Backoff, count: number, random: Random): number[] {
  const delays = backoff.delays(random);
  return Array.from({ length: count }, () => delays.next().value);
}

const seed = 20_261_122;

test('without jitter each delay is the multiple of the one before, up to the longest', () => {
  const backoff = exponentialBackoff({
    initialDelayMs: 100,
    backoffMultiplier: 3,
    maxDelayMs: 1_000,
    jitterFactor: 0,
  });
  expect(take(backoff, 5, () => 0.7)).toEqual([100, 300, 900, 1_000, 1_000]);
});

test('jitter spreads a delay to both sides by its share, and never beyond the longest', () => {
  const backoff = exponentialBackoff({ initialDelayMs: 1_000, jitterFactor: 0.1 });
  expect(take(backoff, 2, () => 0)).toEqual([900, 1_800]);
  expect(take(backoff, 2, () => 0.999_999)).toEqual([1_100, 2_200]);
  const capped = exponentialBackoff({ initialDelayMs: 1_000, maxDelayMs: 1_000, jitterFactor: 1 });
  expect(Math.max(...take(capped, 50, seededRandom(seed)))).toBe(1_000);
});

test('a default yields to a given bound', () => {
  expect(take(exponentialBackoff({ maxDelayMs: 50, jitterFactor: 0 }), 2, () => 0)).toEqual([
    50, 50,
  ]);
  const patient = exponentialBackoff({ initialDelayMs: 60_000, jitterFactor: 0 });
  expect(take(patient, 2, () => 0)).toEqual([60_000, 60_000]);
});

test('each iteration starts from the first delay', () => {
  const backoff = exponentialBackoff({ jitterFactor: 0 });
  expect(take(backoff, 3, () => 0)).toEqual(take(backoff, 3, () => 0));
});

test('no schedule overflows, however far it is followed', () => {
  const backoff = exponentialBackoff({
    backoffMultiplier: 100,
    maxDelayMs: Number.MAX_SAFE_INTEGER,
  });
  expect(take(backoff, 1_000, () => 0.5).every(Number.isSafeInteger)).toBe(true);
});

test('a decorrelated delay lies between the shortest and three times the one before', () => {
  assert(
    property(
      integer({ min: 0, max: 10_000 }),
      integer({ min: 0, max: 100_000 }),
      integer(),
      (initialDelayMs, moreMs, randomSeed) => {
        const maxDelayMs = initialDelayMs + moreMs;
        const backoff = decorrelatedBackoff({ initialDelayMs, maxDelayMs });
        let previousMs = initialDelayMs;
        for (const delayMs of take(backoff, 20, seededRandom(randomSeed))) {
          expect(delayMs).toBeGreaterThanOrEqual(initialDelayMs);
          expect(delayMs).toBeLessThanOrEqual(Math.min(maxDelayMs, Math.ceil(previousMs * 3)));
          previousMs = delayMs;
        }
      },
    ),
    { seed, numRuns: 200 },
  );
});

test('callers that failed together do not retry together', () => {
  const random = seededRandom(seed);
  const backoff = decorrelatedBackoff({ initialDelayMs: 100, maxDelayMs: 10_000 });
  const thirds = Array.from({ length: 100 }, () => take(backoff, 3, random)[2]);
  expect(new Set(thirds).size).toBeGreaterThan(50);
});

test.each([
  [{ initialDelayMs: -1 }, 'initialDelayMs'],
  [{ initialDelayMs: 1.5 }, 'initialDelayMs'],
  [{ backoffMultiplier: 0.9 }, 'backoffMultiplier'],
  [{ jitterFactor: 1.1 }, 'jitterFactor'],
  [{ initialDelayMs: 20, maxDelayMs: 10 }, 'initialDelayMs'],
])('%j is refused by name', (options, field) => {
  expect(() => exponentialBackoff(options)).toThrow(InvalidOptionError);
  expect(() => exponentialBackoff(options)).toThrow(`exponentialBackoff: ${field} must be`);
});

test('a decorrelated schedule whose shortest delay is beyond its longest is refused', () => {
  expect(() => decorrelatedBackoff({ initialDelayMs: 20, maxDelayMs: 10 })).toThrow(
    'decorrelatedBackoff: initialDelayMs must be',
  );
});
