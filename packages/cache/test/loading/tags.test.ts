import { expect, test } from '@jest/globals';
import { createCache } from '@holdfast/cache';
import { createFakeClock } from '@holdfast/foundation/testing';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSource } from './source.ts';

test('an invalidated tag removes what has it, not even stale, and leaves all else', () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  cache.set('de', 'bundle', { tags: ['europe', 'germany'] });
  cache.set('fr', 'bundle', { tags: ['europe'] });
  cache.set('us', 'bundle', { tags: ['america'] });
  cache.invalidateTag('germany');
  expect(['de', 'fr', 'us'].map((key) => cache.get(key)?.value)).toStrictEqual([
    undefined,
    'bundle',
    'bundle',
  ]);
  cache.invalidateTag('europe');
  expect(cache.get('fr')).toBeUndefined();
  cache.set('fr', 'again', { tags: ['europe'] });
  expect(cache.get('fr')).toMatchObject({ value: 'again' });
});

test('a tag of twenty thousand keys is invalidated without a look at any', () => {
  const cache = createCache<number>({ clock: createFakeClock() });
  for (let at = 0; at < 20_000; at += 1) cache.set(`key ${at}`, at, { tags: ['all'] });
  const { entries } = cache.getStats();
  cache.invalidateTag('all');
  expect(cache.getStats().entries).toBe(entries);
  expect(cache.get('key 19999')).toBeUndefined();
  expect(cache.getStats().entries).toBe(entries - 1);
});

test('what was loading while its tag was invalidated is answered and not served again', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const source = createSource<string>();
  const call = cache.getOrLoad('key', source.load, { tags: ['t'] });
  await nextTurn();
  cache.invalidateTag('t');
  source.waiting[0]?.answer('old');
  expect(await call).toMatchObject({ value: 'old' });
  expect(cache.get('key')).toBeUndefined();
});

test('who comes after an invalidation asks anew, and does not join a load from before it', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const old = createSource<string>();
  const anew = createSource<string>();
  const first = cache.getOrLoad('key', old.load, { tags: ['t'] });
  const untagged = cache.getOrLoad('untagged', old.load);
  await nextTurn();
  cache.invalidateTag('t');
  const second = cache.getOrLoad('key', anew.load, { tags: ['t'] });
  const third = cache.getOrLoad('key', anew.load, { tags: ['t'] });
  const joined = cache.getOrLoad('untagged', anew.load);
  await nextTurn();
  expect(anew.waiting).toHaveLength(1);
  anew.waiting[0]?.answer('new');
  expect([(await second).value, (await third).value]).toStrictEqual(['new', 'new']);
  while (old.waiting.length > 0) old.waiting[0]?.answer('old');
  expect([(await first).value, (await joined).value]).toStrictEqual(['old', 'old']);
  await untagged;
  expect(cache.get('key')).toMatchObject({ value: 'new', isStale: false });
});

test.each([
  ['the tag of the load', { tags: ['t'] }, {}],
  ['the tag of the caller', {}, { tags: ['t'] }],
])('a load from before the invalidation of %s is not joined', async (_, before, after) => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const old = createSource<string>();
  const first = cache.getOrLoad('key', old.load, before);
  await nextTurn();
  cache.invalidateTag('t');
  expect((await cache.getOrLoad('key', () => 'new', after)).value).toBe('new');
  old.waiting[0]?.answer('old');
  await first;
  expect(cache.get('key')?.value).toBe('new');
});

test('a refresh from before an invalidation is joined neither by callers nor by warming', async () => {
  const clock = createFakeClock();
  const cache = createCache<string>({ ttlMs: 100, earlyRefresh: 0, clock });
  await cache.getOrLoad('key', () => 'first', { tags: ['t'] });
  await clock.advance(150);
  const old = createSource<string>();
  expect(await cache.getOrLoad('key', old.load, { tags: ['t'] })).toMatchObject({ isStale: true });
  await nextTurn();
  cache.invalidateTag('t');
  const warmed = await cache.warm(['key'], () => 'new', { tags: ['t'] });
  expect(warmed).toMatchObject({ loaded: 1, skipped: 0 });
  expect((await cache.getOrLoad('key', () => 'other', { tags: ['t'] })).value).toBe('new');
  old.waiting[0]?.answer('old');
  await nextTurn();
  expect(cache.get('key')?.value).toBe('new');
});

test('a failure from before an invalidation is not that of those who come after it', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const old = createSource<string>();
  const first = cache.getOrLoad('key', old.load, { tags: ['t'] });
  await nextTurn();
  cache.invalidateTag('t');
  const second = cache.getOrLoad('key', () => 'new', { tags: ['t'] });
  old.waiting[0]?.fail(new Error('old'));
  await expect(first).rejects.toThrow('old');
  expect((await second).value).toBe('new');
  expect(cache.get('key')?.value).toBe('new');
});

test('more invalidations than are kept forget none of them', () => {
  const cache = createCache<string>({ maxTags: 10, clock: createFakeClock() });
  cache.set('key', 'old', { tags: ['first'] });
  cache.set('untagged', 'old');
  cache.invalidateTag('first');
  for (let at = 0; at < 50; at += 1) cache.invalidateTag(`other ${at}`);
  expect(cache.get('key')).toBeUndefined();
  expect(cache.get('untagged')).toMatchObject({ value: 'old' });
  cache.set('key', 'new', { tags: ['first'] });
  expect(cache.get('key')).toMatchObject({ value: 'new' });
});
