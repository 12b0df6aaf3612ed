import { expect, test } from '@jest/globals';
import { type LogRecord, decodeRecord, encodeRecord } from '../../src/journal/record.ts';
import { bytesOf, operation } from './operations.ts';

test.each<[string, LogRecord]>([
  [
    'a write with its bytes',
    { kind: 'operation', operation: operation(1), bytes: bytesOf(operation(1)), settled: ['one'] },
  ],
  [
    'a write whose bytes are in a file',
    { kind: 'operation', operation: operation(2, { blob: 'f' }), bytes: undefined, settled: [] },
  ],
  ['settlements', { kind: 'settled', settlements: [{ backend: 'one', key: 'ü', generation: 2 }] }],
  [
    'the progress of an upload',
    { kind: 'progress', progress: { backend: 'one', key: 'k', generation: 2, state: { at: 3 } } },
  ],
])('%s is read as it was written', (_, record) => {
  expect(decodeRecord(encodeRecord(record))).toEqual(record);
});

test('a record of another version, or that is none, is refused with the version', () => {
  const settlements = [{ backend: 'one', key: 'k', generation: 2 }];
  const refused = 'this release reads 1';
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = encodeRecord({ kind: 'settled', settlements });
    change(bytes);
    return bytes;
  };
  const headed = (kind: number, head: unknown): Buffer => {
    const json = Buffer.from(JSON.stringify(head));
    const start = Buffer.from([1, kind, 0, 0, 0, json.byteLength]);
    return Buffer.concat([start, json]);
  };
  expect(() => decodeRecord(changed((bytes) => bytes.writeUInt8(2, 0)))).toThrow(refused);
  expect(() => decodeRecord(changed((bytes) => bytes.writeUInt8(9, 1)))).toThrow(refused);
  expect(decodeRecord(headed(2, settlements))).toMatchObject({ kind: 'settled' });
  const keyed = { key: 'k', generation: 1 };
  for (const [kind, head] of [
    [1, null],
    [1, { ...keyed, id: 'i', kind: 'put' }],
    [1, { ...keyed, key: 1, id: 'i', kind: 'put', settled: [] }],
    [1, { ...keyed, generation: 0.5, id: 'i', kind: 'put', settled: [] }],
    [2, {}],
    [2, [null]],
    [2, [keyed, { key: 'k' }]],
    [3, { ...keyed, backend: 'one' }],
    [3, { ...keyed, state: 1 }],
  ] as const) {
    expect(() => decodeRecord(headed(kind, head))).toThrow(refused);
  }
});
