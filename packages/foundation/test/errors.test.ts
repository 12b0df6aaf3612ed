import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { HoldfastError, InvalidOptionError, isHoldfastError } from '@holdfast/foundation';

class SpilledError extends HoldfastError {
  readonly code = 'SPILLED';
}

test('an error carries its class’s name and code, and what is known about retry, effect and cause', () => {
  const cause = new Error('underneath');
  const error = new SpilledError('queue: spilled', {
    cause,
    retryable: true,
    outcome: 'applied',
    retryAfterMs: 5,
  });
  expect(error).toMatchObject({
    name: 'SpilledError',
    code: 'SPILLED',
    message: 'queue: spilled',
    cause,
    retryable: true,
    outcome: 'applied',
    retryAfterMs: 5,
  });
  expect(error).toBeInstanceOf(Error);
});

test('unknown details are absent, and an error is not retryable by default', () => {
  const error = new SpilledError('queue: spilled');
  expect(error.retryable).toBe(false);
  expect([error.outcome, error.retryAfterMs]).toEqual([undefined, undefined]);
  expect('cause' in error).toBe(false);
});

test('a Holdfast error of any installed copy is recognized, and no other error is', () => {
  const otherCopy: unknown = runInNewContext(`
    class Other extends Error {}
    Object.defineProperty(Other.prototype, Symbol.for('holdfast.error'), { value: true });
    new Other('from elsewhere');
  `);
  expect(isHoldfastError(new InvalidOptionError('open', 'max', 0, 'positive'))).toBe(true);
  expect(isHoldfastError(otherCopy)).toBe(true);
  for (const other of [new Error('x'), { code: 'TIMEOUT' }, null, undefined, 'x', () => 'x']) {
    expect(isHoldfastError(other)).toBe(false);
  }
});

test.each([
  ['x'.repeat(100), `"${'x'.repeat(60)}…"`],
  [Number.NaN, 'NaN'],
  [12n, '12n'],
  [() => 1, 'a function'],
  [[1, 2], 'an array of 2'],
  [{ secret: 'hunter2' }, 'an object'],
  [null, 'null'],
])('an option that is %p is described without its content', (value, shown) => {
  const error = new InvalidOptionError('createQueue', 'a.b', value, 'a number');
  expect(error.message).toBe(`createQueue: a.b must be a number, but is ${shown}`);
  expect(error).toMatchObject({ field: 'a.b', permitted: 'a number', outcome: 'not-applied' });
  expect(error.value).toBe(value);
});
