import { describe, expect, test } from '@jest/globals';
import { createMemoryCache } from '@holdfast/cache';
import { type KeyvStore, createKeyvStore } from '@holdfast/cache/keyv';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Keyv } from 'keyv';
import { Keyv as Keyv5 } from 'keyv-5';

/** What both versions have. */
interface AnyKeyv {
  get(key: string): Promise<unknown>;
  get(keys: string[]): Promise<unknown[]>;
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  has(key: string): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  clear(): Promise<void>;
  disconnect(): Promise<void>;
}

type OpenKeyv = (store: KeyvStore, namespace?: string) => AnyKeyv;
const optionsOf = (store: KeyvStore, namespace: string | undefined): object =>
  namespace === undefined ? { store } : { store, namespace };

describe.each<[string, OpenKeyv]>([
  ['keyv 6', (store, namespace) => new Keyv(optionsOf(store, namespace))],
  ['keyv 5', (store, namespace) => new Keyv5(optionsOf(store, namespace))],
])('as the store of %s', (_, open) => {
  test('what it stores comes back, one by one and several at once', async () => {
    const keyv = open(createKeyvStore(createMemoryCache()));
    await keyv.set('a', { n: 1 });
    await keyv.set('b', 2, 60_000);
    expect(await keyv.get('a')).toStrictEqual({ n: 1 });
    expect(await keyv.get(['a', 'missing', 'b'])).toStrictEqual([{ n: 1 }, undefined, 2]);
    expect(await keyv.has('a')).toBe(true);
    expect(await keyv.delete('a')).toBe(true);
    expect(await keyv.get('a')).toBeUndefined();
    await keyv.disconnect();
  });

  test('a namespace is cleared by itself', async () => {
    const cache = createMemoryCache();
    const users = open(createKeyvStore(cache), 'users');
    const pages = open(createKeyvStore(cache), 'pages');
    await users.set('1', 'Ada');
    await pages.set('1', 'home');
    await users.clear();
    expect(await users.get('1')).toBeUndefined();
    expect(await pages.get('1')).toBe('home');
  });

  test('an entry is gone after its time', async () => {
    const clock = createFakeClock();
    const cache = createMemoryCache({ clock, ttlJitter: 0 });
    const keyv = open(createKeyvStore(cache));
    await keyv.set('key', 'value', 60_000);
    expect(cache.keys()).toHaveLength(1);
    await clock.advance(60_000);
    expect(await keyv.get('key')).toBeUndefined();
  });
});

describe('alone', () => {
  test('it has the methods of a Keyv, and keeps the types of values', async () => {
    const store = createKeyvStore(createMemoryCache());
    expect(await store.set('date', new Date(0))).toBe(true);
    expect(await store.get('date')).toStrictEqual(new Date(0));
    expect(
      await store.setMany([
        { key: 'a', value: 1 },
        { key: 'b', value: 2, ttl: 60_000 },
      ]),
    ).toStrictEqual([true, true]);
    expect(await store.hasMany(['a', 'c'])).toStrictEqual([true, false]);
    expect(await store.getMany(['a', 'b', 'c'])).toStrictEqual([1, 2, undefined]);
    const entries: unknown[] = [];
    for await (const entry of store.iterator()) entries.push(entry);
    expect(entries).toStrictEqual([
      ['date', new Date(0)],
      ['a', 1],
      ['b', 2],
    ]);
    expect(await store.deleteMany(['a', 'c'])).toStrictEqual([true, false]);
    await store.clear();
    expect(await store.has('b')).toBe(false);
  });

  test('it says when a value is not kept', async () => {
    const store = createKeyvStore(createMemoryCache({ maxBytes: 65_536 }));
    expect(await store.set('key', 'x'.repeat(10_000))).toBe(false);
    await expect(store.set('key', () => 1)).rejects.toMatchObject({ code: 'CACHE_VALUE_NOT_KEPT' });
  });

  test.each([-1, Number.NaN])('a time of %s is refused by name', async (ttl) => {
    const store = createKeyvStore(createMemoryCache());
    await expect(store.set('key', 1, ttl)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      field: 'ttl',
    });
  });

  test('what is not a cache is refused by name', () => {
    expect(() => createKeyvStore(JSON.parse('{}'))).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'cache' }),
    );
  });
});
