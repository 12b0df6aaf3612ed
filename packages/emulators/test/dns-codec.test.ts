import { types } from 'node:util';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readFrames, frame } from '../src/dns/framing.ts';
import {
  type DnsMessage,
  type DnsQuestion,
  decodeMessage,
  encodeMessage,
} from '@holdfast/protocols/dns';
import { respond, respondToMalformed } from '../src/dns/respond.ts';

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

test('every message is read as it was written', () => {
  fc.assert(
    fc.property(message, (written) => {
      expect(decodeMessage(encodeMessage(written))).toEqual(written);
    }),
    { seed: 20_262, numRuns: 300 },
  );
});

test('of any bytes, and of any message cut or with a byte changed, nothing but a format error comes', () => {
  const survives = (bytes: Buffer): void => {
    let failure = 'DnsFormatError';
    try {
      decodeMessage(bytes);
    } catch (error) {
      failure = String(types.isNativeError(error) && error.name);
    }
    expect(failure).toBe('DnsFormatError');
    respondToMalformed(bytes);
  };
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), fc.uint8Array(), (written, at, byte, noise) => {
      const bytes = encodeMessage(written);
      survives(Buffer.from(noise));
      survives(bytes.subarray(0, at % bytes.length));
      bytes[at % bytes.length] = byte;
      survives(bytes);
    }),
    { seed: 20_263, numRuns: 300 },
  );
});

test('a compressed name is followed back, never ahead and never in a circle', () => {
  const header = Buffer.from([0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
  const first = Buffer.from([2, ...Buffer.from('db'), 4, ...Buffer.from('test'), 0, 0, 1, 0, 1]);
  const second = Buffer.from([3, ...Buffer.from('www'), 0xc0, 12, 0, 1, 0, 1]);
  const { questions } = decodeMessage(Buffer.concat([header, first, second]));
  expect(questions.map((asked) => asked.name)).toEqual(['db.test', 'www.db.test']);
  const circle = Buffer.from([0xc0, 12, 0, 1, 0, 1]);
  const one = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  expect(() => decodeMessage(Buffer.concat([one, circle]))).toThrow('points ahead');
});

test('messages over TCP are found whole, wherever the stream was cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 50 }), (sent, step) => {
      const stream = Buffer.concat(sent.map((bytes) => frame(Buffer.from(bytes))));
      const got: Buffer[] = [];
      const take = readFrames((bytes) => got.push(Buffer.from(bytes)));
      for (let at = 0; at < stream.length; at += step) take(stream.subarray(at, at + step));
      expect(got.map((bytes) => bytes.toString('hex'))).toEqual(
        sent.map((bytes) => Buffer.from(bytes).toString('hex')),
      );
    }),
    { seed: 20_264, numRuns: 100 },
  );
});

const asking = (type: number, additionals: DnsMessage['additionals'] = []): DnsMessage => ({
  id: 7,
  isResponse: false,
  opcode: 0,
  isAuthoritative: false,
  isTruncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  code: 0,
  questions: [{ name: 'big.test', type, class: 1 }],
  answers: [],
  authorities: [],
  additionals,
});
const big = [{ name: 'big.test', type: 'TXT', text: 'x'.repeat(600) }] as const;

test('an answer too long for a datagram is cut short over UDP, not over TCP, nor where it fits', () => {
  const answersTo = (query: DnsMessage, transport: 'udp' | 'tcp'): [boolean, number] => {
    const reply = respond(query, big, [], transport);
    const { isTruncated, answers } = decodeMessage(reply?.bytes ?? Buffer.alloc(0));
    return [isTruncated, answers.length];
  };
  expect(answersTo(asking(16), 'udp')).toEqual([true, 0]);
  expect(answersTo(asking(16), 'tcp')).toEqual([false, 1]);
  const opt = { name: '', type: 41, class: 1_232, ttlSeconds: 0, data: Buffer.alloc(0) };
  expect(answersTo(asking(16, [opt]), 'udp')).toEqual([false, 1]);
});

test('what is no query of the ordinary kind is answered as not implemented', () => {
  const reply = respond({ ...asking(16), opcode: 5 }, big, [], 'udp');
  expect(decodeMessage(reply?.bytes ?? Buffer.alloc(0))).toMatchObject({ code: 4, id: 7 });
});

test('noise that has a number is answered with a format error, a response is not answered', () => {
  expect(
    decodeMessage(respondToMalformed(Buffer.from([1, 2, 0])) ?? Buffer.alloc(0)),
  ).toMatchObject({
    id: 258,
    code: 1,
  });
  expect(respondToMalformed(Buffer.from([1, 2, 0x80]))).toBeUndefined();
});
