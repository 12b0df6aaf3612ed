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
])('%j is kept as JSON says it', (payload) => {
  expect(serializePayload('t', payload, LIMIT)).toBe(JSON.stringify(payload));
});

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
