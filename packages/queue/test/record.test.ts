import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { decodeJob, encodeJob } from '../src/record.ts';

const job = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
  id: fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
  payload: fc.json(),
  unique: fc.boolean(),
  originEpoch: fc.integer({ min: 1, max: 4_294_967_295 }),
  sequence: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  enqueuedAtMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});

test('a job is read back from the journal as it was written', () => {
  fc.assert(
    fc.property(job, (written) => {
      expect(decodeJob(encodeJob(written))).toEqual(written);
    }),
    { seed: 20_261_122 },
  );
});

test('a record of another version is refused with the way out', () => {
  const [sample] = fc.sample(job, { seed: 1, numRuns: 1 });
  if (sample === undefined) throw new Error('no sample');
  const record = encodeJob(sample);
  record.writeUInt8(9, 0);
  expect(() => decodeJob(record)).toThrow('has version 9, this release reads 1: drain the journal');
});
