import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createKeyedRateLimiters } from '../../src/index.ts';

const open = (maxKeys: number): ReturnType<typeof createKeyedRateLimiters> =>
  createKeyedRateLimiters({ maxTokens: 3, refillRate: 1, maxKeys, clock: createFakeClock() });

test('each key has a bucket of its own', () => {
  const limiters = open(10);
  const granted = (key: string): number =>
    Array.from({ length: 5 }, () => limiters.get(key).tryAcquire()).filter(Boolean).length;
  expect([granted('a'), granted('b'), granted('a')]).toEqual([3, 3, 0]);
  expect(limiters.getStats()).toEqual({
    keys: 2,
    evictedCount: 0,
    grantedCount: 6,
    rejectedCount: 9,
  });
});

test('at the bound the key that was used least recently goes, and its calls stay counted', () => {
  const limiters = open(2);
  for (const key of ['a', 'b', 'a', 'c']) limiters.get(key).tryAcquire();
  expect(limiters.getStats()).toMatchObject({ keys: 2, evictedCount: 1, grantedCount: 4 });
  expect(limiters.get('a').getStats().availableTokens).toBe(1);
  expect(limiters.get('b').getStats().availableTokens).toBe(3);
});

test('after the close every key is refused, also a new one', async () => {
  const limiters = open(2);
  const before = limiters.get('a');
  await limiters.close();
  await expect(before.acquire()).rejects.toMatchObject({ code: 'RESILIENCE_RATE_LIMITER_CLOSED' });
  await expect(limiters.get('b').acquire()).rejects.toMatchObject({
    code: 'RESILIENCE_RATE_LIMITER_CLOSED',
  });
});

test('options and keys are checked', () => {
  expect(() => createKeyedRateLimiters({ maxTokens: 0, refillRate: 1 })).toThrow(
    InvalidOptionError,
  );
  expect(() => open(0)).toThrow('maxKeys');
  expect(() => open(1).get(JSON.parse('7'))).toThrow('a string');
});
