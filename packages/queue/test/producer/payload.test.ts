import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { checkJobId, checkTopic, serializePayload } from '../../src/producer/payload.ts';

const LIMIT = 1_000;

test.each([
  [{ a: 1, b: [true, null, 'x'] }],
  ['text'],
  [0],
  [null],
  [{ left: undefined, kept: 1 }],
  [new Date(0)],
  [Buffer.from('bytes')],
  [new URL('https://example.com/a')],
  [Object.assign(Object.create(null), { a: 1 })],
  [{}],
  [[]],
  [{ list: [{}], none: [[], {}] }],
  [
    new (class Point {
      x = 1;
      y = 2;
    })(),
  ],
  [{ money: { toJSON: () => '12.50 EUR' } }],
  [{ self: { toJSON: () => ({ a: [1, { b: null }] }) } }],
  [runInNewContext('({ a: { b: [1] }, c: {} })')],
  [Object.assign(new Map([[1, 2]]), { toJSON: () => [[1, 2]] })],
])('%j is kept as JSON says it', (payload) => {
  expect(serializePayload('t', payload, LIMIT)).toBe(JSON.stringify(payload));
});

class Account {
  #balance = 1;

  get balance(): number {
    return this.#balance;
  }
}

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;

test.each<[string, unknown, string]>([
  ['undefined', undefined, 'payload'],
  ['a function', () => 1, 'payload'],
  ['a symbol inside', { a: Symbol('s') }, 'payload.a'],
  ['a bigint inside an array', { list: [1, 2n] }, 'payload.list[1]'],
  ['not a number', { n: Number.NaN }, 'payload.n'],
  ['infinity', [Infinity], 'payload[0]'],
  ['a map', { m: new Map() }, 'payload.m'],
  ['a set', new Set(), 'payload'],
  ['bytes', { b: new Uint8Array(2) }, 'payload.b'],
  ['an invalid date', { when: new Date(Number.NaN) }, 'payload.when'],
  ['a circle', cyclic, 'payload.self'],
  ['an error', { cause: new Error('boom') }, 'payload.cause'],
  ['an error with fields', Object.assign(new TypeError('boom'), { code: 'E' }), 'payload'],
  ['an error of another realm', [runInNewContext('new Error("boom")')], 'payload[0]'],
  ['a promise', { user: Promise.resolve(1) }, 'payload.user'],
  ['a buffer of bytes', { b: new ArrayBuffer(8) }, 'payload.b'],
  ['shared bytes', { b: new SharedArrayBuffer(8) }, 'payload.b'],
  ['a view of bytes', { b: new DataView(new ArrayBuffer(8)) }, 'payload.b'],
  ['floats', { b: new Float64Array(2) }, 'payload.b'],
  ['search parameters', { query: new URLSearchParams('a=1') }, 'payload.query'],
  ['a form', { form: new FormData() }, 'payload.form'],
  ['a blob', { file: new Blob(['x']) }, 'payload.file'],
  ['headers', { headers: new Headers({ a: '1' }) }, 'payload.headers'],
  ['a weak map', [new WeakMap()], 'payload[0]'],
  ['a weak set', [new WeakSet()], 'payload[0]'],
  ['a weak reference', [new WeakRef({})], 'payload[0]'],
  ['a pattern', { match: /x/u }, 'payload.match'],
  ['a function inside', { run: () => 1 }, 'payload.run'],
  ['undefined in an array', { list: [1, undefined] }, 'payload.list[1]'],
  // oxlint-disable-next-line no-sparse-arrays -- that is the case
  ['a hole in an array', { list: [1, , 3] }, 'payload.list[1]'],
  ['an endless array of holes', Object.assign([], { length: 4_000_000_000 }), 'payload[0]'],
  ['an iterator', { next: [1].values() }, 'payload.next'],
  ['a generator', { next: (function* () {})() }, 'payload.next'],
  ['an object whose state is private', { account: new Account() }, 'payload.account'],
  ['an object of symbols only', { [Symbol('s')]: 1 }, 'payload'],
  ['hidden fields', Object.defineProperty({}, 'a', { value: 1 }), 'payload'],
  ['a boxed number', { n: Object(Number.NaN) }, 'payload.n'],
  ['a boxed string', { s: Object('text') }, 'payload.s'],
  ['a bigint', { n: 1n }, 'payload.n'],
  ['a toJSON that returns nothing', { a: { toJSON: () => undefined } }, 'payload.a'],
  ['a toJSON that returns NaN', { a: { toJSON: () => Number.NaN } }, 'payload.a'],
  ['a toJSON with a map inside', { a: { toJSON: () => ({ m: new Map() }) } }, 'payload.a.m'],
  ['a toJSON that returns a set', [{ toJSON: () => new Set([1]) }], 'payload[0]'],
  [
    'a field of a class',
    new (class {
      at = [new Map()];
    })(),
    'payload.at[0]',
  ],
])('%s is refused by name instead of being lost in JSON', (_, payload, field) => {
  expect(() => serializePayload('t', payload, LIMIT)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('a payload that is nested too deeply is rejected', () => {
  let deep: unknown = 0;
  for (let level = 0; level < 100_000; level += 1) deep = [deep];
  expect(() => serializePayload('t', deep, LIMIT)).toThrow('nested at most 500 deep');
});

test('the size of a payload is its bytes of JSON, and one byte too many is rejected with both numbers', () => {
  const exact = 'é'.repeat((LIMIT - 2) / 2);
  expect(serializePayload('t', exact, LIMIT)).toHaveLength(exact.length + 2);
  expect(() => serializePayload('t', `${exact}x`, LIMIT)).toThrow(
    expect.objectContaining({
      code: 'QUEUE_PAYLOAD_TOO_LARGE',
      field: 'payload',
      bytes: LIMIT + 1,
      maxPayloadBytes: LIMIT,
    }),
  );
});

test.each([[''], ['a\nb'], ['a\u0000'], ['{a}'], ['x'.repeat(201)], ['\ud800'], [7], [undefined]])(
  'the name %j is refused for topics and job ids alike',
  (name) => {
    const refusal = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field, value: name });
    expect(() => checkTopic('enqueue', name)).toThrow(refusal('topic'));
    expect(() => checkJobId('enqueue', name)).toThrow(refusal('jobId'));
  },
);

test('a name may contain any other characters', () => {
  expect(checkTopic('enqueue', 'Größe: 5€/日本 #1')).toBe('Größe: 5€/日本 #1');
});
