import { expect, test } from '@jest/globals';
import { createMemoryCache } from '@holdfast/cache';
import { createFakeClock } from '@holdfast/foundation/testing';

test('a value is read until its time is over, and not after it', async () => {
  const clock = createFakeClock();
  const cache = createMemoryCache<number>({ ttlMs: 1_000, ttlJitter: 0, clock });
  cache.set('default', 1);
  cache.set('own', 2, { ttlMs: 5_000 });
  await clock.advance(999);
  expect(cache.lookup('default')).toStrictEqual({ kind: 'hit', value: 1, expiresInMs: 1 });
  await clock.advance(1);
  expect(cache.lookup('default')).toStrictEqual({ kind: 'miss' });
  expect(cache.get('own')).toBe(2);
  await clock.advance(4_000);
  expect(cache.has('own')).toBe(false);
  expect(cache.getStats()).toMatchObject({ entries: 0, expirations: 2, hits: 2, misses: 1 });
});

test('keys that are set at one moment expire over a tenth of their time, the same way each time', async () => {
  const clock = createFakeClock();
  const times = (): (number | undefined)[] => {
    const cache = createMemoryCache<number>({ ttlMs: 100_000, clock });
    for (let at = 0; at < 1_000; at += 1) cache.set(`key ${at}`, at);
    return cache.keys().map((key) => {
      const found = cache.lookup(key);
      return found.kind === 'hit' ? Math.floor(found.expiresInMs) : undefined;
    });
  };
  const first = times();
  expect(times()).toStrictEqual(first);
  const decile = (ms: number | undefined): number => Math.floor(((ms ?? 0) - 90_000) / 1_000);
  const perDecile = Map.groupBy(first, decile);
  expect([...perDecile.keys()].toSorted((left, right) => left - right)).toStrictEqual([
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ]);
  for (const members of perDecile.values()) expect(members.length).toBeLessThan(150);
});

test('a step of the wall clock changes no expiry', async () => {
  const clock = createFakeClock();
  const cache = createMemoryCache<number>({ ttlMs: 1_000, ttlJitter: 0, clock });
  cache.set('key', 1);
  clock.stepWallClock(86_400_000);
  expect(cache.get('key')).toBe(1);
  clock.stepWallClock(-2 * 86_400_000);
  await clock.advance(1_000);
  expect(cache.get('key')).toBeUndefined();
});

test('a cache has no timer, so that it holds no process', () => {
  const clock = createFakeClock();
  const cache = createMemoryCache({ clock });
  cache.set('key', 1);
  cache.get('key');
  expect(clock.pendingTimers).toBe(0);
});
