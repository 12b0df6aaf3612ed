import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type StoredJob, decodeJob, encodeJobs } from '../../src/fallback/record.ts';

const job = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
  id: fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
  payload: fc.json(),
  unique: fc.boolean(),
  originEpoch: fc.integer({ min: 1, max: 4_294_967_295 }),
  sequence: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  enqueuedAtMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  dueAtMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});

const routed = fc.record({
  routing: fc.oneof(fc.constantFrom('high', 'low'), fc.nat(4_294_967_295).map(String)),
});
const originNonce = fc.record({ originNonce: fc.constantFrom('n', 'pNd2_-x4Xv1kqL0A') });
const either = fc.oneof(
  job,
  fc.tuple(job, routed).map(([one, routing]) => Object.assign(one, routing)),
  fc.tuple(job, originNonce).map(([one, nonce]) => Object.assign(one, nonce)),
  fc.tuple(job, routed, originNonce).map((parts): StoredJob => Object.assign({}, ...parts)),
);

test('jobs are read back from the journal as they were written', () => {
  fc.assert(
    fc.property(fc.array(either, { maxLength: 5 }), (written) => {
      expect(encodeJobs(written).map(decodeJob)).toEqual(written);
    }),
    { seed: 20_261_122 },
  );
});

test('a record of another version is rejected with the remedy', () => {
  const [sample] = fc.sample(job, { seed: 1, numRuns: 1 });
  if (sample === undefined) throw new Error('no sample');
  const [record] = encodeJobs([sample]);
  record?.writeUInt8(9, 0);
  expect(() => decodeJob(record ?? Buffer.alloc(0))).toThrow(
    'has version 9, this release reads 5: drain the journal',
  );
});

test('records of version 3 are read as jobs whose origin has no nonce', () => {
  const header = Buffer.alloc(33);
  header.writeUInt8(3, 0);
  header.writeUInt16BE(1, 2);
  header.writeUInt16BE(2, 4);
  header.writeUInt32BE(3, 6);
  header.writeUIntBE(4, 10, 6);
  header.writeUInt8(4, 32);
  const read = decodeJob(Buffer.concat([header, Buffer.from('tidhigh{}')]));
  expect(read).toMatchObject({ topic: 't', id: 'id', routing: 'high', payload: '{}' });
  expect(read).not.toHaveProperty('originNonce');
});

test('records of version 2 are read as jobs without a routing', () => {
  const header = Buffer.alloc(32);
  header.writeUInt8(2, 0);
  header.writeUInt16BE(1, 2);
  header.writeUInt16BE(2, 4);
  header.writeUInt32BE(3, 6);
  header.writeUIntBE(4, 10, 6);
  header.writeDoubleBE(5, 16);
  header.writeDoubleBE(6, 24);
  const read = decodeJob(Buffer.concat([header, Buffer.from('tid{}')]));
  expect(read).toMatchObject({ dueAtMs: 6, topic: 't', id: 'id', payload: '{}' });
  expect(read).not.toHaveProperty('routing');
});

test('records of version 1 are read as jobs without a delay', () => {
  const header = Buffer.alloc(24);
  header.writeUInt8(1, 0);
  header.writeUInt16BE(1, 2);
  header.writeUInt16BE(2, 4);
  header.writeUInt32BE(3, 6);
  header.writeUIntBE(4, 10, 6);
  header.writeDoubleBE(5, 16);
  const record = Buffer.concat([header, Buffer.from('tid{}')]);
  expect(decodeJob(record)).toEqual({
    unique: false,
    originEpoch: 3,
    sequence: 4,
    enqueuedAtMs: 5,
    dueAtMs: 0,
    topic: 't',
    id: 'id',
    payload: '{}',
  });
});
