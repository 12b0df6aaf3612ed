import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import {
  InvalidOptionError,
  type OptionRule,
  callback,
  boolean,
  objectWith,
  integer,
  object,
  number,
  oneOf,
  optional,
  parseOptions,
  parseOver,
  string,
} from '@holdfast/foundation';

const read = <T>(rule: OptionRule<T>, value: unknown): T =>
  parseOptions('create', { field: rule }, { field: value }).field;

test('defaults replace absent or undefined options, and given values win', () => {
  const shape = {
    a: integer({ min: 0, max: 9, default: 3 }),
    b: boolean(true),
    c: optional(boolean(true)),
  };
  expect(parseOptions('create', shape, undefined)).toEqual({ a: 3, b: true, c: undefined });
  expect(parseOptions('create', shape, { a: undefined, b: false })).toEqual({
    a: 3,
    b: false,
    c: undefined,
  });
});

test('an unknown key is refused with the known ones, and an inherited one is not known', () => {
  const shape = { size: integer({ min: 0, max: 9, default: 3 }) };
  expect(() => parseOptions('create', shape, { sise: 3 })).toThrow(
    'create: sise must be one of the known options (size), but is "***"',
  );
  expect(() => parseOptions('create', shape, { toString: 3 })).toThrow(InvalidOptionError);
});

test.each([
  ['a text', 'hunter2'],
  ['a number', 271_828],
  ['a URL', 'redis://me:hunter2@host/0?key=hunter2'],
  ['an object', { password: 'hunter2', pin: 271_828 }],
  ['a list', ['hunter2', 271_828]],
])('the value of an unknown option may be a secret and is shown nowhere: %s', (_, value) => {
  const calls = [
    () => parseOptions('create', { nested: object({}) }, { passwort: value }),
    () => parseOptions('create', { nested: object({}) }, { nested: { passwort: value } }),
    () => parseOver('create', {}, {}, { passwort: value }),
  ];
  for (const each of calls) {
    const error = thrown(each);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(inspect(error, { depth: null })).toContain('passwort');
    expect(inspect(error, { depth: null })).not.toMatch(/hunter2|271.?828/);
  }
});

test('the credentials of a URL that is refused are not shown', () => {
  const shape = { url: string({ maxLength: 3 }) };
  const error = thrown(() => parseOptions('create', shape, { url: 's3://me:hunter2@host/x' }));
  expect(error).toMatchObject({ field: 'url', value: 's3://***@host/x' });
  expect(inspect(error)).not.toContain('hunter2');
});

test.each([[[]], ['text'], [5], [null]])('options that are %p are refused', (given) => {
  expect(() => parseOptions('create', {}, given)).toThrow('create: options must be an object');
});

test.each<[string, OptionRule<unknown>, readonly unknown[], readonly unknown[]]>([
  ['integer', integer({ min: 1, max: 3 }), [1, 3], [0, 4, 1.5, Number.NaN, Infinity, '2', null]],
  ['number', number({ min: 0, max: 1 }), [0, 0.5, 1], [-0.1, 1.1, Number.NaN, '0', true]],
  ['flag', boolean(false), [true, false], [0, 'true', null]],
  ['text', string({ maxLength: 3 }), ['a', 'abc'], ['', 'abcd', 5, null]],
  ['oneOf', oneOf(['a', 'b']), ['a', 'b'], ['c', 5, null]],
  ['callback', callback(), [() => 1], ['f', {}, null]],
  [
    'having',
    objectWith<{ now(): number }>(['now']),
    [{ now: () => 1 }],
    [{}, 'now', null, () => 1],
  ],
  ['optional', optional(integer({ min: 1, max: 3 })), [2], [4, null]],
])('%s takes what it says and refuses what lies outside by field', (_name, rule, good, bad) => {
  for (const value of good) expect(read(rule, value)).toBe(value);
  for (const value of bad) {
    expect(() => read(rule, value)).toThrow(InvalidOptionError);
    expect(() => read(rule, value)).toThrow(`create: field must be ${rule.permitted}`);
  }
});

test('without a default an option is required', () => {
  expect(() => parseOptions('create', { size: integer({ min: 1, max: 3 }) }, {})).toThrow(
    'create: size must be a whole number from 1 to 3, but is undefined',
  );
});

test('options within options are named by their whole path, and have their own defaults', () => {
  const shape = { retry: object({ maxAttempts: integer({ min: 1, max: 9, default: 3 }) }) };
  expect(parseOptions('create', shape, {})).toEqual({ retry: { maxAttempts: 3 } });
  expect(() => parseOptions('create', shape, { retry: { maxAttempts: 0 } })).toThrow(
    'create: retry.maxAttempts must be',
  );
  expect(() => parseOptions('create', shape, { retry: { attempts: 1 } })).toThrow(
    'create: retry.attempts must be one of the known options (maxAttempts)',
  );
  expect(() => parseOptions('create', shape, { retry: 5 })).toThrow(
    'create: retry must be an object',
  );
});

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
