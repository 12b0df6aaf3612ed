import { expect, test } from '@jest/globals';
import { createGenerations } from '@holdfast/cache';
import { createFakeClock } from '@holdfast/foundation/testing';

test('a data set is replaced in one step, and a reader keeps the whole of the one it has', () => {
  const sets = createGenerations<number>({ clock: createFakeClock() });
  expect(sets.current).toBeUndefined();
  const first = sets.begin();
  first.set('a', 1);
  first.set('b', 1);
  first.publish();
  const reader = sets.current;
  const second = sets.begin();
  second.set('a', 2);
  expect(sets.current?.get('a')).toBe(1);
  second.publish();
  expect([reader?.get('a'), reader?.get('b')]).toStrictEqual([1, 1]);
  expect(sets.current?.get('a')).toBe(2);
  expect(sets.current?.lookup('b')).toStrictEqual({ kind: 'miss' });
  expect(sets.current).toMatchObject({ number: 2, entries: 1 });
  expect(sets.current?.keys()).toStrictEqual(['a']);
});

test('the slower of two never replaces the newer', () => {
  const sets = createGenerations<string>();
  const slow = sets.begin();
  slow.set('key', 'older');
  const quick = sets.begin();
  quick.set('key', 'newer');
  quick.publish();
  expect(() => slow.publish()).toThrow(
    expect.objectContaining({ code: 'CACHE_GENERATION_ENDED', generation: 1 }),
  );
  expect(sets.current?.get('key')).toBe('newer');
});

test('a data set over the bound is refused, and the current one stays', () => {
  const sets = createGenerations<string>({ maxBytes: 65_536 });
  const small = sets.begin();
  small.set('key', 'small');
  small.publish();
  const large = sets.begin();
  const fill = (): void => {
    for (let at = 0; at < 100; at += 1) large.set(`key ${at}`, 'x'.repeat(1_000));
  };
  expect(fill).toThrow(
    expect.objectContaining({ code: 'CACHE_GENERATION_TOO_LARGE', maxBytes: 65_536 }),
  );
  large.discard();
  expect(() => large.set('key', 'x')).toThrow(
    expect.objectContaining({ code: 'CACHE_GENERATION_ENDED' }),
  );
  expect(sets.current?.get('key')).toBe('small');
});

test('values are exact, or refused by their path', () => {
  const sets = createGenerations({ hold: 'encoded' });
  const draft = sets.begin();
  const value = { at: new Date(0), of: new Map([[1n, Number.NaN]]) };
  draft.set('__proto__', value);
  expect(() => draft.set('key', { run: () => 1 })).toThrow(
    expect.objectContaining({ code: 'CACHE_VALUE_NOT_KEPT', path: 'value.run' }),
  );
  const published: unknown[] = [];
  sets.on('published', (event) => published.push(event));
  const generation = draft.publish();
  expect(generation.get('__proto__')).toStrictEqual(value);
  expect(generation.bytes).toBeGreaterThan(100);
  expect(published).toMatchObject([{ number: 1, entries: 1, bytes: generation.bytes }]);
});
