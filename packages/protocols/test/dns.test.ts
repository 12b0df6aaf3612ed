import { types } from 'node:util';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type DnsMessage,
  type DnsQuestion,
  createFrameReader,
  decodeMessage,
  encodeMessage,
  frameMessage,
} from '@holdfast/protocols/dns';

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const name = fc.array(label, { maxLength: 8 }).map((labels) => labels.join('.'));
const word = fc.integer({ min: 0, max: 65_535 });
const question: fc.Arbitrary<DnsQuestion> = fc.record({ name, type: word, class: word });
const resource = fc
  .tuple(question, fc.integer({ min: 0, max: 4_294_967_295 }), fc.uint8Array({ maxLength: 300 }))
  .map(([asked, ttlSeconds, data]) =>
    Object.assign(asked, { ttlSeconds, data: Buffer.from(data) }),
  );
const resources = fc.array(resource, { maxLength: 5 });
const message: fc.Arbitrary<DnsMessage> = fc.record({
  id: word,
  isResponse: fc.boolean(),
  opcode: fc.integer({ min: 0, max: 15 }),
  isAuthoritative: fc.boolean(),
  isTruncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  code: fc.integer({ min: 0, max: 15 }),
  questions: fc.array(question, { maxLength: 3 }),
  answers: resources,
  authorities: resources,
  additionals: resources,
});

test('a message is read as it was written', () => {
  fc.assert(
    fc.property(message, (written) => {
      expect(decodeMessage(encodeMessage(written))).toEqual(written);
    }),
    { seed: 20_262, numRuns: 300 },
  );
});

test('random bytes and damaged messages fail with a format error only', () => {
  const failsOnlyByFormat = (bytes: Buffer): void => {
    let failure = 'DnsFormatError';
    try {
      decodeMessage(bytes);
    } catch (error) {
      failure = String(types.isNativeError(error) && error.name);
    }
    expect(failure).toBe('DnsFormatError');
  };
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), fc.uint8Array(), (written, at, byte, noise) => {
      const bytes = encodeMessage(written);
      failsOnlyByFormat(Buffer.from(noise));
      failsOnlyByFormat(bytes.subarray(0, at % bytes.length));
      bytes[at % bytes.length] = byte;
      failsOnlyByFormat(bytes);
    }),
    { seed: 20_263, numRuns: 300 },
  );
});

test('a pointer in a name is followed backwards only', () => {
  const header = Buffer.from([0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
  const first = Buffer.from([2, ...Buffer.from('db'), 4, ...Buffer.from('test'), 0, 0, 1, 0, 1]);
  const second = Buffer.from([3, ...Buffer.from('www'), 0xc0, 12, 0, 1, 0, 1]);
  const { questions } = decodeMessage(Buffer.concat([header, first, second]));
  expect(questions.map((asked) => asked.name)).toEqual(['db.test', 'www.db.test']);
  const circle = Buffer.from([0xc0, 12, 0, 1, 0, 1]);
  const one = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(() => decodeMessage(Buffer.concat([one, circle]))).toThrow('points ahead');
});

test('messages over TCP are read whole wherever the stream is cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 50 }), (sent, step) => {
      const stream = Buffer.concat(sent.map((bytes) => frameMessage(Buffer.from(bytes))));
      const got: Buffer[] = [];
      const take = createFrameReader((bytes) => got.push(Buffer.from(bytes)));
      for (let at = 0; at < stream.length; at += step) take(stream.subarray(at, at + step));
      expect(got.map((bytes) => bytes.toString('hex'))).toEqual(
        sent.map((bytes) => Buffer.from(bytes).toString('hex')),
      );
    }),
    { seed: 20_264, numRuns: 100 },
  );
});
