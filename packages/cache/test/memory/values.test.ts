import { describe, expect, test } from '@jest/globals';
import { CacheValueError, type HoldMode, createMemoryCache } from '@holdfast/cache';

class Account {
  readonly id = 1;
}
class AccountError extends Error {}
class Day extends Date {}

const cyclic: Record<string, unknown> = { list: [] };
cyclic['list'] = [{ back: cyclic }];
const deep = (levels: number): unknown =>
  Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 'end');
// oxlint-disable-next-line unicorn/no-new-array, no-sparse-arrays -- a hole is what is refused
const withHole = [1, , 3];

const refused: readonly [string, unknown, string][] = [
  ['a function', () => 1, 'value'],
  ['a symbol', Symbol('s'), 'value'],
  ['a method', { user: { greet: () => 'hi' } }, 'value.user.greet'],
  ['an instance of a class', { 'the account': [new Account()] }, 'value["the account"][0]'],
  ['a cycle', cyclic, 'value.list[0].back'],
  ['an error of a class of its own', { cause: new AccountError('x') }, 'value.cause'],
  ['a date of a class of its own', [new Day()], 'value[0]'],
  ['a date with a property', Object.assign(new Date(0), { zone: 'UTC' }), 'value'],
  ['a promise', { later: Promise.resolve(1) }, 'value.later'],
  ['a weak map', new WeakMap(), 'value'],
  ['a boxed number', { n: Object(1) }, 'value.n'],
  ['a list with a hole', { list: withHole }, 'value.list'],
  ['a list with a name', Object.assign([1], { total: 1 }), 'value'],
  ['a symbol as a key', { [Symbol('s')]: 1 }, 'value'],
  ['a hidden property', Object.defineProperty({}, 'hidden', { value: 1 }), 'value'],
  ['memory that threads share', new Uint8Array(new SharedArrayBuffer(2)), 'value'],
  ['a function in a map', new Map([['a', () => 1]]), 'value<"a">'],
  ['a function in a set', new Set([() => 1]), 'value<member 0>'],
  ['nesting without end', deep(10_000), `value${'[0]'.repeat(500)}`],
];

describe.each<HoldMode>(['frozen', 'encoded', 'reference'])('held %s', (hold) => {
  test.each(refused)('%s is refused by its path, and the old value stays', (_, value, path) => {
    const cache = createMemoryCache({ hold });
    cache.set('key', 'old');
    let caught: unknown;
    try {
      cache.set('key', value);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CacheValueError);
    expect(caught).toMatchObject({ code: 'CACHE_VALUE_NOT_KEPT', path, outcome: 'not-applied' });
    expect(cache.get('key')).toBe('old');
  });
});

test('a value nested as deep as is permitted comes back', () => {
  const cache = createMemoryCache();
  cache.set('deep', deep(500));
  expect(cache.get('deep')).toStrictEqual(deep(500));
});

test.each<HoldMode>(['frozen', 'encoded'])(
  'held %s, a change by the one who stored a value is not seen by readers',
  (hold) => {
    const cache = createMemoryCache({ hold });
    const value = { list: [1], at: new Date(0), bytes: Buffer.from([1]) };
    cache.set('key', value);
    value.list.push(2);
    value.at.setTime(5);
    value.bytes[0] = 9;
    expect(cache.get('key')).toStrictEqual({
      list: [1],
      at: new Date(0),
      bytes: Buffer.from([1]),
    });
  },
);

test('plain data is frozen, so that no reader can change what the next one reads', () => {
  const cache = createMemoryCache<{ list: number[] }>();
  cache.set('key', { list: [1] });
  expect(() => cache.get('key')?.list.push(2)).toThrow(TypeError);
  expect(cache.get('key')).toBe(cache.get('key'));
  expect(cache.get('key')).toStrictEqual({ list: [1] });
});

test('what cannot be frozen is a value of its own for each reader', () => {
  const cache = createMemoryCache<Map<string, Date>>();
  cache.set('key', new Map([['a', new Date(0)]]));
  cache.get('key')?.get('a')?.setTime(1);
  cache.get('key')?.clear();
  expect(cache.get('key')).toStrictEqual(new Map([['a', new Date(0)]]));
});

test('held by reference, a value is the same object', () => {
  const cache = createMemoryCache<object>({ hold: 'reference' });
  const value = { list: [1] };
  cache.set('key', value);
  expect(cache.get('key')).toBe(value);
});

test('presence is told apart from the value', () => {
  const cache = createMemoryCache({ ttlJitter: 0, ttlMs: 5_000 });
  cache.set('key', undefined);
  expect(cache.get('key')).toBeUndefined();
  expect(cache.has('key')).toBe(true);
  expect(cache.lookup('key')).toMatchObject({ kind: 'hit', value: undefined });
  expect(cache.lookup('other')).toStrictEqual({ kind: 'miss' });
});

test('a date without a time stays one', () => {
  const cache = createMemoryCache<Date>();
  cache.set('key', new Date(Number.NaN));
  expect(cache.get('key')).toBeInstanceOf(Date);
  expect(cache.get('key')?.getTime()).toBeNaN();
});
