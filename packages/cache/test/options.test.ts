import { expect, test } from '@jest/globals';
import {
  type CacheOptions,
  type CacheSetOptions,
  createCache,
  createMemoryCache,
} from '@holdfast/cache';

test.each([
  ['an unknown option', { ttl: 5 }, 'ttl'],
  ['no bound', { maxBytes: Infinity }, 'maxBytes'],
  ['a bound below what anything needs', { maxBytes: 10 }, 'maxBytes'],
  [
    'an entry that may evict nearly all',
    { maxBytes: 65_536, maxEntryBytes: 60_000 },
    'maxEntryBytes',
  ],
  ['a negative time', { ttlMs: -1 }, 'ttlMs'],
  ['a time of centuries', { ttlMs: 1e15 }, 'ttlMs'],
  ['a time that is no number', { ttlMs: Number.NaN }, 'ttlMs'],
  ['jitter over a half', { ttlJitter: 0.7 }, 'ttlJitter'],
  ['an unknown mode', { hold: 'cloned' }, 'hold'],
])('%s is refused by name', (_, options, field) => {
  expect(() => createMemoryCache(JSON.parse(JSON.stringify(options), revive))).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );

  /** JSON has no number for what is written as null. */
  function revive(name: string, value: unknown): unknown {
    return value === null ? Reflect.get(options, name) : value;
  }
});

test.each<[string, string, object | undefined, string]>([
  ['an empty key', '', undefined, 'key'],
  ['a key that is too long', 'k'.repeat(4_097), undefined, 'key'],
  ['a time of nothing', 'key', { ttlMs: 0 }, 'ttlMs'],
  ['an unknown option', 'key', { ttl: 1 }, 'ttl'],
])(
  'set refuses %s by name, and stores nothing',
  (_, key, options: CacheSetOptions | undefined, field) => {
    const cache = createMemoryCache();
    expect(() => cache.set(key, 1, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field, outcome: 'not-applied' }),
    );
    expect(cache.keys()).toStrictEqual([]);
  },
);

test.each<[string, object, string]>([
  ['an unknown option', { ttl: 1 }, 'ttl'],
  ['a negative time', { staleMs: -1 }, 'staleMs'],
  ['a bound in memory out of range', { memory: { maxBytes: 1 } }, 'memory.maxBytes'],
  ['an unknown bound in memory', { memory: { max: 1 } }, 'memory.max'],
  [
    'an entry in memory that may evict nearly all',
    { memory: { maxBytes: 65_536, maxEntryBytes: 60_000 } },
    'memory.maxEntryBytes',
  ],
  ['a time in memory', { memory: { ttlMs: 5 } }, 'memory.ttlMs'],
  ['memory that is no object', { memory: 5 }, 'memory'],
  ['an unknown policy', { whenStale: 'never' }, 'whenStale'],
])('createCache refuses %s by name', (_, options: CacheOptions, field) => {
  expect(() => createCache(options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('a cache refuses keys and tags out of range by name', async () => {
  const cache = createCache();
  const refusal = (field: string): unknown =>
    expect.objectContaining({ code: 'INVALID_OPTION', field });
  await expect(cache.getOrLoad('', () => 1)).rejects.toStrictEqual(refusal('key'));
  await expect(cache.getOrLoad('k', () => 1, { tags: [''] })).rejects.toStrictEqual(
    refusal('tags'),
  );
  await expect(cache.warm(['k'], () => 1, { concurrency: 0 })).rejects.toStrictEqual(
    refusal('concurrency'),
  );
  expect(() => cache.invalidateTag('')).toThrow(refusal('tag'));
  expect(() =>
    cache.set('k', 1, { tags: Array.from({ length: 17 }, (__, at) => `${at}`) }),
  ).toThrow(refusal('tags'));
});

test('a source that is no function is refused by name, and nothing is cached', async () => {
  const cache = createCache();
  const notCallable: () => number = JSON.parse('"x"');
  const refusal = expect.objectContaining({ code: 'INVALID_OPTION', field: 'load' });
  await expect(cache.getOrLoad('k', notCallable)).rejects.toStrictEqual(refusal);
  await expect(cache.warm(['k'], notCallable)).rejects.toStrictEqual(refusal);
  await expect(cache.verify('k', notCallable)).rejects.toStrictEqual(refusal);
  expect(cache.getStats()).toMatchObject({ entries: 0, loads: 0 });
});
