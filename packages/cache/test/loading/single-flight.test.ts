import { expect, test } from '@jest/globals';
import { CacheClosedError, CacheLoadTimeoutError, createCache } from '@holdfast/cache';
import { createFakeClock } from '@holdfast/foundation/testing';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSource } from './source.ts';

test('ten thousand callers of one cold key are one call of the source', async () => {
  const cache = createCache<number>({ clock: createFakeClock() });
  const source = createSource<number>();
  const answers = Promise.all(
    Array.from({ length: 10_000 }, () => cache.getOrLoad('key', source.load)),
  );
  await nextTurn();
  source.waiting[0]?.answer(7);
  const values = new Set((await answers).map(({ value }) => value));
  expect([...values]).toStrictEqual([7]);
  expect(source.calls).toBe(1);
  expect(cache.getStats()).toMatchObject({ loads: 1, joined: 9_999, loading: 0 });
});

test('when the source fails, all callers get the one error, and those who come within negativeMs', async () => {
  const clock = createFakeClock();
  const cache = createCache<number>({ negativeMs: 1_000, clock });
  const source = createSource<number>();
  const failure = new Error('no answer');
  const calls = Array.from({ length: 100 }, () => cache.getOrLoad('key', source.load));
  const settled = Promise.allSettled(calls);
  await nextTurn();
  source.waiting[0]?.fail(failure);
  for (const { status, ...rest } of await settled) {
    expect({ status, ...rest }).toStrictEqual({ status: 'rejected', reason: failure });
  }
  await clock.advance(999);
  await expect(cache.getOrLoad('key', source.load)).rejects.toBe(failure);
  expect(source.calls).toBe(1);
  expect(cache.getStats()).toMatchObject({ loadFailures: 1, negativeAnswers: 1 });
  await clock.advance(1);
  const again = cache.getOrLoad('key', source.load);
  await nextTurn();
  source.waiting[0]?.answer(1);
  expect(await again).toMatchObject({ value: 1, from: 'source' });
});

test('the abort of one caller leaves the others running, and the last one aborts the source', async () => {
  const cache = createCache<number>({ clock: createFakeClock() });
  const source = createSource<number>();
  const first = new AbortController();
  const second = new AbortController();
  const one = cache.getOrLoad('key', source.load, { signal: first.signal });
  const two = cache.getOrLoad('key', source.load, { signal: second.signal });
  await nextTurn();
  first.abort('first');
  await expect(one).rejects.toBe('first');
  expect(source.waiting[0]?.signal.aborted).toBe(false);
  second.abort('second');
  await expect(two).rejects.toBe('second');
  expect(source.waiting[0]?.signal.aborted).toBe(true);
  expect(source.waiting[0]?.signal.reason).toBe('second');
  expect(cache.getStats().loading).toBe(0);
});

test('an aborted load is not remembered as a failure', async () => {
  const cache = createCache<number>({ clock: createFakeClock() });
  const source = createSource<number>();
  const caller = new AbortController();
  const aborted = cache.getOrLoad('key', source.load, { signal: caller.signal });
  await nextTurn();
  caller.abort('gone');
  await expect(aborted).rejects.toBe('gone');
  const next = cache.getOrLoad('key', source.load);
  await nextTurn();
  source.waiting[1]?.answer(2);
  expect(await next).toMatchObject({ value: 2 });
});

test('a signal that has aborted asks nothing, and an answer leaves no timer behind', async () => {
  const clock = createFakeClock();
  const cache = createCache<number>({ clock });
  const source = createSource<number>();
  const signal = AbortSignal.abort('before');
  await expect(cache.getOrLoad('key', source.load, { signal })).rejects.toBe('before');
  expect(source.calls).toBe(0);
  const answered = cache.getOrLoad('key', () => 1);
  expect(await answered).toStrictEqual({ value: 1, from: 'source', isStale: false, ageMs: 0 });
  expect(clock.pendingTimers).toBe(0);
});

test('a source that does not answer, nor heed its signal, fails at the deadline', async () => {
  const clock = createFakeClock();
  const cache = createCache<number>({ loadTimeoutMs: 500, clock });
  const source = createSource<number>();
  const call = cache.getOrLoad('key', source.load);
  await expect(clock.settle(call)).rejects.toThrow(CacheLoadTimeoutError);
  expect(clock.now()).toBe(500);
  expect(source.waiting[0]?.signal.aborted).toBe(true);
  await expect(call).rejects.toMatchObject({ code: 'CACHE_LOAD_TIMEOUT', retryable: true });
});

test('a load that asks for its own key is refused at once', async () => {
  const clock = createFakeClock();
  const cache = createCache<number>({ loadTimeoutMs: 500, clock });
  const load = async (): Promise<number> => (await cache.getOrLoad('key', load)).value;
  const refusal = { code: 'RESILIENCE_COALESCER_DEADLOCK', key: 'key' };
  await expect(cache.getOrLoad('key', load)).rejects.toMatchObject(refusal);
  expect(clock.now()).toBe(0);
});

test.each([
  ['deleted', 'delete'],
  ['cleared', 'clear'],
] as const)('what was read before a key was %s is answered and not stored', async (_, how) => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const source = createSource<string>();
  const before = cache.getOrLoad('key', source.load);
  await nextTurn();
  cache[how]('key');
  const after = cache.getOrLoad('key', source.load);
  await nextTurn();
  source.waiting[0]?.answer('old');
  expect(await before).toMatchObject({ value: 'old' });
  expect(cache.get('key')).toBeUndefined();
  source.waiting[0]?.answer('new');
  expect(await after).toMatchObject({ value: 'new' });
  expect(cache.get('key')).toMatchObject({ value: 'new' });
});

test('a value that is set while the source is asked stays', async () => {
  const cache = createCache<string>({ clock: createFakeClock() });
  const source = createSource<string>();
  const call = cache.getOrLoad('key', source.load);
  await nextTurn();
  cache.set('key', 'set');
  source.waiting[0]?.answer('old');
  expect(await call).toMatchObject({ value: 'old' });
  expect(cache.get('key')).toMatchObject({ value: 'set' });
});

test('a closed cache aborts its loads, and refuses later calls', async () => {
  const cache = createCache<number>({ clock: createFakeClock() });
  const source = createSource<number>();
  const call = cache.getOrLoad('key', source.load);
  await nextTurn();
  const closed = Promise.all([cache.close(), cache.close()]);
  await expect(call).rejects.toThrow(CacheClosedError);
  await closed;
  expect(source.waiting[0]?.signal.aborted).toBe(true);
  await expect(cache.getOrLoad('key', source.load)).rejects.toThrow(CacheClosedError);
  expect(() => cache.get('key')).toThrow(CacheClosedError);
});
