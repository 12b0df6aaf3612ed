import { expect, test } from '@jest/globals';
import type { CacheLookup } from './cache.ts';

/** What every cache has, whether it answers at once or later. */
export interface CacheUnderTest {
  lookup(key: string): CacheLookup<unknown> | Promise<CacheLookup<unknown>>;
  set(key: string, value: unknown, options?: { ttlMs?: number }): unknown;
  delete(key: string): unknown;
  clear(): unknown;
}

const namelessPrototype: object = Object.assign(Object.create(null), { own: 1 });

/** Each of these comes back as it is, through every tier. */
export const exactValues: Readonly<Record<string, unknown>> = {
  undefined,
  null: null,
  zero: 0,
  'minus zero': -0,
  'minus zero in a list and in an object': [-0, { zero: -0 }],
  'not a number': Number.NaN,
  infinity: -Infinity,
  false: false,
  'an empty string': '',
  'text beyond ASCII': 'é字🎉',
  'half of a surrogate pair': '\ud83c',
  'a bigint': 12_345_678_901_234_567_890n,
  'a date': new Date(86_400_000),
  'a map': new Map<unknown, unknown>([
    ['a', { b: new Date(1) }],
    [Number.NaN, undefined],
  ]),
  'a set': new Set(['a', -0, null]),
  'a regular expression': /a\/b/giu,
  'an error': Object.assign(new TypeError('bad', { cause: new Error('why') }), { status: 404 }),
  'a buffer': Buffer.from([0, 255, 128]),
  'an empty buffer': Buffer.alloc(0),
  bytes: new Uint8Array([1, 2]),
  'floating-point numbers': new Float64Array([0.1, -0]),
  'large integers': new BigInt64Array([-1n]),
  'an array buffer': new Uint8Array([7, 8]).buffer,
  'plain data': { a: [1, 'b', { c: null }], d: { e: 1.5 } },
  'undefined in an object and in a list': { a: undefined, b: [undefined, 1] },
  'the key that marks tags': { $: ['date', 0], nested: { $: 1 } },
  'a key named __proto__': JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}'),
  'an object without prototype': namelessPrototype,
};

/** Keys that are names of what every object has. */
const innerNames = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];

/** The promises of every cache as Jest tests; call it once for each, inside its `describe`. */
export function honoursCacheContract(open: () => CacheUnderTest | Promise<CacheUnderTest>): void {
  const names = Object.keys(exactValues);

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test.each(names)('%s comes back as it is, each time', async (name) => {
    const cache = await open();
    await cache.set('key', exactValues[name]);
    for (let read = 0; read < 2; read += 1) {
      const found = await cache.lookup('key');
      expect(found).toMatchObject({ kind: 'hit' });
      expect('value' in found ? found.value : undefined).toStrictEqual(exactValues[name]);
    }
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a key that was never set, was deleted or cleared is a miss', async () => {
    const cache = await open();
    expect(await cache.lookup('a')).toStrictEqual({ kind: 'miss' });
    await cache.set('a', 1);
    await cache.set('b', 2);
    await cache.delete('a');
    expect(await cache.lookup('a')).toStrictEqual({ kind: 'miss' });
    expect(await cache.lookup('b')).toMatchObject({ kind: 'hit', value: 2 });
    await cache.clear();
    expect(await cache.lookup('b')).toStrictEqual({ kind: 'miss' });
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('names of what every object has are keys like any other', async () => {
    const cache = await open();
    for (const name of innerNames) expect(await cache.lookup(name)).toStrictEqual({ kind: 'miss' });
    for (const name of innerNames) await cache.set(name, `of ${name}`);
    for (const name of innerNames) {
      expect(await cache.lookup(name)).toMatchObject({ kind: 'hit', value: `of ${name}` });
    }
  });

  // oxlint-disable-next-line jest/require-top-level-describe -- the caller brings the describe
  test('a later value replaces an earlier one, and its time', async () => {
    const cache = await open();
    await cache.set('a', { long: 'x'.repeat(500) }, { ttlMs: 1 });
    await cache.set('a', 'second');
    expect(await cache.lookup('a')).toMatchObject({ kind: 'hit', value: 'second' });
  });
}
