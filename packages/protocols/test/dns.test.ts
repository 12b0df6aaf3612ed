import { types } from 'node:util';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type DnsMessage,
  type DnsQuestion,
  createFrameReader,
  decodeMessage,
  decodeName,
  encodeMessage,
  negativeTtlSecondsOf,
  toResource,
  frameMessage,
} from '@holdfast/protocols/dns';

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const name = fc.array(label, { maxLength: 8 }).map((labels) => labels.join('.'));
const word = fc.integer({ min: 0, max: 65_535 });
/** Of NS, CNAME, SOA and PTR the data is a name, which random bytes are not. */
const type = word.filter((number) => ![2, 5, 6, 12].includes(number));
const question: fc.Arbitrary<DnsQuestion> = fc.record({ name, type, class: word });
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

const header = (...counts: readonly number[]): Buffer =>
  Buffer.from([0, 1, 0x80, 0, ...counts.flatMap((count) => [count >> 8, count & 0xff])]);
const dbTest = [2, ...Buffer.from('db'), 4, ...Buffer.from('test'), 0];

test('a compressed name in the data of an alias is expanded', () => {
  const alias = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 6, 3, ...Buffer.from('www'), 0xc0, 15];
  const bytes = Buffer.concat([
    header(1, 1, 0, 0),
    Buffer.from([...dbTest, 0, 1, 0, 1]),
    Buffer.from(alias),
  ]);
  const [answer] = decodeMessage(bytes).answers;
  expect(answer?.name).toBe('db.test');
  expect(decodeName(answer?.data ?? Buffer.alloc(0))).toBe('www.test');
});

test('the time for which absence may be cached is the smaller one of the record of authority', () => {
  const record = (ttlSeconds: number) =>
    toResource({ name: 'test', type: 'SOA', ttlSeconds, negativeTtlSeconds: 30 });
  const authorities = [record(90), record(5)];
  const empty = { questions: [], answers: [], additionals: [] };
  const flags = { isResponse: true, opcode: 0, isAuthoritative: true, isTruncated: false };
  const sent = { ...flags, recursionDesired: true, recursionAvailable: true, code: 3 };
  const read = decodeMessage(encodeMessage({ id: 1, ...sent, ...empty, authorities }));
  expect(read.authorities.map(negativeTtlSecondsOf)).toEqual([30, 5]);
  expect(() => negativeTtlSecondsOf({ ...record(1), data: Buffer.alloc(3) })).toThrow('too short');
});

test('counts that say more or less than there is, and chains of pointers, are format errors', () => {
  const asking = Buffer.from([...dbTest, 0, 1, 0, 1]);
  const read = (...parts: readonly Buffer[]): unknown => decodeMessage(Buffer.concat(parts));
  expect(read(header(1, 0, 0, 0), asking)).toMatchObject({ questions: [{ name: 'db.test' }] });
  expect(() => read(header(0, 0, 0, 0), asking)).toThrow('more bytes than its counts');
  expect(() => read(header(2, 0, 0, 0), asking)).toThrow('ends too early');
  expect(() => read(header(65_535, 65_535, 65_535, 65_535), asking)).toThrow('ends too early');
  // 200 pointers, each to the one before it; the data of one record of an unknown type holds them.
  const chain = Array.from({ length: 200 }, (_, index) => {
    const target = index === 0 ? 12 : 12 + asking.length + 11 + 2 * (index - 1);
    return [0xc0 | (target >> 8), target & 0xff];
  }).flat();
  const carrier = Buffer.from([0, 0, 99, 0, 1, 0, 0, 0, 0, chain.length >> 8, chain.length & 255]);
  const last = 12 + asking.length + 11 + chain.length - 2;
  const asked = Buffer.from([0xc0 | (last >> 8), last & 0xff, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(() => read(header(1, 2, 0, 0), asking, carrier, Buffer.from(chain), asked)).toThrow(
    'too many pointers',
  );
});

test('a name in the data of a record that reaches beyond it is a format error', () => {
  const alias = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 3, ...Buffer.from('www'), 0]);
  const asking = Buffer.from([...dbTest, 0, 1, 0, 1]);
  expect(() => decodeMessage(Buffer.concat([header(1, 1, 0, 0), asking, alias]))).toThrow(
    'longer than its data',
  );
});
