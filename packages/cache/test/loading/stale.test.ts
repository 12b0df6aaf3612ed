import { expect, test } from '@jest/globals';
import { type Cache, type CacheOptions, createCache } from '@holdfast/cache';
import { nextEvent } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSource } from './source.ts';

const times: CacheOptions = {
  ttlMs: 1_000,
  staleMs: 60_000,
  refreshBackoffMs: 1_000,
  earlyRefresh: 0,
  memory: { ttlJitter: 0 },
};

function open(options?: CacheOptions): { cache: Cache<string>; clock: FakeClock } {
  const clock = createFakeClock();
  return { clock, cache: createCache<string>({ ...times, ...options, clock }) };
}

test('a stale answer is served at once with its age, while one call asks the source', async () => {
  const { cache, clock } = open();
  cache.set('key', 'old');
  await clock.advance(1_500);
  const source = createSource<string>();
  for (let call = 0; call < 50; call += 1) {
    expect(await cache.getOrLoad('key', source.load)).toStrictEqual({
      value: 'old',
      from: 'memory',
      isStale: true,
      ageMs: 1_500,
    });
  }
  await nextTurn();
  expect(source.calls).toBe(1);
  expect(cache.getStats()).toMatchObject({ staleAnswers: 50, joined: 0, loading: 1 });
  const loaded = nextEvent(cache, 'loaded');
  source.waiting[0]?.answer('new');
  expect(await loaded).toMatchObject({ key: 'key' });
  await nextTurn();
  const fresh = { value: 'new', from: 'memory', isStale: false, ageMs: 0 };
  expect(await cache.getOrLoad('key', source.load)).toStrictEqual(fresh);
});

test('while the source fails, the value stays until its last time, with the reason, and the source is asked ever less', async () => {
  const { cache, clock } = open();
  cache.set('key', 'old');
  await clock.advance(1_000);
  const failure = new Error('the source is down');
  let calls = 0;
  const load = (): string => {
    calls += 1;
    throw failure;
  };
  const answers: (string | undefined)[] = [];
  for (let second = 0; second < 59; second += 1) {
    const { value, error, isStale } = await cache.getOrLoad('key', load);
    answers.push(value);
    expect({ isStale, error }).toStrictEqual({
      isStale: true,
      error: second === 0 ? undefined : failure,
    });
    await clock.advance(1_000);
  }
  expect(new Set(answers)).toStrictEqual(new Set(['old']));
  // At 0, 1, 3, 7, 15, 31 seconds: the wait doubles.
  expect(calls).toBe(6);
  await clock.advance(1_000);
  await expect(cache.getOrLoad('key', load)).rejects.toBe(failure);
});

test('a source slower than the TTL is asked by one refresher at a time', async () => {
  const { cache, clock } = open({ ttlMs: 100 });
  const source = createSource<string>();
  cache.set('key', 'old');
  for (let step = 0; step < 20; step += 1) {
    await clock.advance(100);
    expect(await cache.getOrLoad('key', source.load)).toMatchObject({ value: 'old' });
    await nextTurn();
  }
  expect(source.calls).toBe(1);
});

test("with whenStale 'load' callers wait for the source", async () => {
  const { cache, clock } = open({ whenStale: 'load' });
  cache.set('key', 'old');
  await clock.advance(1_000);
  expect(await cache.getOrLoad('key', () => 'new')).toMatchObject({ value: 'new', from: 'source' });
});

test("with whenStale 'load' a failing source is replaced by the stale answer, with age and reason", async () => {
  const { cache, clock } = open({ whenStale: 'load' });
  cache.set('key', 'old');
  await clock.advance(5_000);
  const error = new Error('down');
  const load = (): string => {
    throw error;
  };
  const stale = { value: 'old', from: 'memory', isStale: true, ageMs: 5_000, error };
  expect(await cache.getOrLoad('key', load)).toStrictEqual(stale);
  expect(await cache.getOrLoad('key', load)).toStrictEqual(stale);
  expect(cache.getStats()).toMatchObject({ loads: 1, loadFailures: 1, staleAnswers: 2 });
});

test('that the source has nothing is remembered for negativeMs, and never served stale', async () => {
  const clock = createFakeClock();
  const cache = createCache<string | undefined>({ ...times, negativeMs: 200, clock });
  const source = createSource<string | undefined>();
  const first = cache.getOrLoad('key', source.load);
  await nextTurn();
  source.waiting[0]?.answer(undefined);
  expect(await first).toMatchObject({ value: undefined, from: 'source' });
  await clock.advance(199);
  expect(await cache.getOrLoad('key', source.load)).toMatchObject({
    value: undefined,
    from: 'memory',
  });
  await clock.advance(1);
  expect(cache.get('key')).toBeUndefined();
});

test('without negativeMs every caller after a failure asks the source', async () => {
  const { cache } = open({ negativeMs: 0 });
  let calls = 0;
  const load = (): string => {
    calls += 1;
    throw new Error('down');
  };
  for (let call = 0; call < 3; call += 1) {
    await expect(cache.getOrLoad('key', load)).rejects.toThrow('down');
  }
  expect(calls).toBe(3);
});

test('a value that cannot be kept is served, and said to be', async () => {
  const { cache } = open();
  const refused = nextEvent(cache, 'refused');
  const load = (): string => Reflect.apply(Object, undefined, ['boxed']);
  expect((await cache.getOrLoad('key', load)).value).toBeInstanceOf(String);
  expect(await refused).toMatchObject({ key: 'key', error: { code: 'CACHE_VALUE_NOT_KEPT' } });
  const large = 'x'.repeat(5 * 1_048_576);
  expect((await cache.getOrLoad('large', () => large)).value).toHaveLength(large.length);
  expect(cache.get('large')).toBeUndefined();
});

test('an answer is refreshed before its end the sooner, the longer loading takes', async () => {
  const at = async (randomValue: number): Promise<number> => {
    const clock = createFakeClock();
    const random = (): number => randomValue;
    const cache = createCache<string>({ ...times, earlyRefresh: 1, clock, random });
    const source = createSource<string>();
    const first = cache.getOrLoad('key', source.load);
    await clock.advance(100);
    source.waiting[0]?.answer('first');
    await first;
    for (let ms = 0; ms < 1_000; ms += 10) {
      expect(await cache.getOrLoad('key', source.load)).toMatchObject({ isStale: false });
      if (source.calls > 1) return ms;
      await clock.advance(10);
      await nextTurn();
    }
    return 1_000;
  };
  // Loading took 100 ms: refreshed -100 · ln(1 - random) ms before the end.
  expect(await at(0)).toBe(1_000);
  expect(await at(1 - Math.exp(-2))).toBe(800);
  expect(await at(1 - Math.exp(-5))).toBe(500);
});
