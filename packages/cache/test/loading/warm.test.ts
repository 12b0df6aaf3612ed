import { expect, test } from '@jest/globals';
import { createCache } from '@holdfast/cache';
import { createFakeClock } from '@holdfast/foundation/testing';
import { setImmediate as nextTurn } from 'node:timers/promises';

const keys = Array.from({ length: 20 }, (_, at) => `key ${at}`);

test('warming loads what is not fresh, a few at a time, and names the keys that failed', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  cache.set('key 0', 'fresh');
  let running = 0;
  let most = 0;
  const load = async (key: string): Promise<string> => {
    running += 1;
    most = Math.max(most, running);
    await nextTurn();
    running -= 1;
    if (key === 'key 7') throw new Error('no 7');
    return `value of ${key}`;
  };
  const result = await cache.warm(keys, load, { concurrency: 3 });
  expect(result).toMatchObject({ loaded: 18, skipped: 1, left: 0 });
  expect(result.failed).toMatchObject([{ key: 'key 7', error: { message: 'no 7' } }]);
  expect(most).toBe(3);
  expect(cache.get('key 19')).toMatchObject({ value: 'value of key 19' });
});

test('warming loads what is stale, and waits for it', async () => {
  const clock = createFakeClock();
  const cache = createCache<string>({ ttlMs: 1_000, clock });
  cache.set('key', 'old');
  await clock.advance(1_000);
  expect(await cache.warm(['key'], () => 'new')).toMatchObject({ loaded: 1 });
  expect(cache.get('key')).toMatchObject({ value: 'new', isStale: false });
});

test('warming loads and counts a key that is named twice once', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const result = await cache.warm(['a', 'a', 'b', 'a'], (key) => key);
  expect(result).toStrictEqual({ loaded: 2, skipped: 0, failed: [], left: 0 });
  expect(cache.getStats().loads).toBe(2);
});

test('warming stops when the service is overloaded, and says how many keys are left', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  let loads = 0;
  const result = await cache.warm(keys, () => `${(loads += 1)}`, {
    concurrency: 1,
    isOverloaded: () => loads >= 5,
  });
  expect(result).toStrictEqual({ loaded: 5, skipped: 0, failed: [], left: 15 });
});

test('warming ends with the reason of its signal', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const controller = new AbortController();
  const load = async (key: string): Promise<string> => {
    if (key === 'key 3') controller.abort('enough');
    return key;
  };
  const warming = cache.warm(keys, load, { concurrency: 1, signal: controller.signal });
  await expect(warming).rejects.toBe('enough');
});

test.each([
  ['drifted', 'changed in the source', 'drifted', 'changed in the source'],
  ['consistent', 'cached', 'consistent', 'cached'],
])(
  'a cached value that is %s is reported, and replaced if it differs',
  async (_, source, kind, kept) => {
    const cache = createCache<{ text: string }>({ clock: createFakeClock() });
    cache.set('key', { text: 'cached' }, { tags: ['t'] });
    const drifted: unknown[] = [];
    cache.on('drifted', (event) => drifted.push(event));
    expect(await cache.verify('key', () => ({ text: source }))).toStrictEqual({ kind });
    expect(cache.get('key')?.value).toStrictEqual({ text: kept });
    expect(drifted).toStrictEqual(kind === 'drifted' ? [{ key: 'key' }] : []);
    cache.invalidateTag('t');
    expect(cache.get('key')).toBeUndefined();
  },
);

test('a verification does not replace what was set meanwhile, and asks nothing about what is not cached', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  let loads = 0;
  const load = async (): Promise<string> => {
    loads += 1;
    cache.set('key', 'set meanwhile');
    return 'older';
  };
  expect(await cache.verify('key', load)).toStrictEqual({ kind: 'absent' });
  expect(loads).toBe(0);
  cache.set('key', 'before');
  expect(await cache.verify('key', load)).toStrictEqual({ kind: 'changed' });
  expect(cache.get('key')).toMatchObject({ value: 'set meanwhile' });
});
