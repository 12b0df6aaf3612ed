import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type DnsMessage, decodeMessage } from '@holdfast/protocols/dns';
import { respond, respondToMalformed } from '../src/dns/respond.ts';

const queryFor = (type: number, additionals: DnsMessage['additionals'] = []): DnsMessage => ({
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

test('a response that is too long is truncated over UDP, but not over TCP or with a larger EDNS size', () => {
  const answersTo = (query: DnsMessage, transport: 'udp' | 'tcp'): [boolean, number] => {
    const reply = respond(query, big, [], transport);
    const { isTruncated, answers } = decodeMessage(reply.bytes ?? Buffer.alloc(0));
    return [isTruncated, answers.length];
  };
  expect(answersTo(queryFor(16), 'udp')).toEqual([true, 0]);
  expect(answersTo(queryFor(16), 'tcp')).toEqual([false, 1]);
  const opt = { name: '', type: 41, class: 1_232, ttlSeconds: 0, data: Buffer.alloc(0) };
  expect(answersTo(queryFor(16, [opt]), 'udp')).toEqual([false, 1]);
});

test('a query with another opcode gets NOTIMP', () => {
  const reply = respond({ ...queryFor(16), opcode: 5 }, big, [], 'udp');
  expect(decodeMessage(reply.bytes ?? Buffer.alloc(0))).toMatchObject({ code: 4, id: 7 });
});

test('a malformed query with an id gets FORMERR, and a response gets nothing', () => {
  expect(
    decodeMessage(respondToMalformed(Buffer.from([1, 2, 0])) ?? Buffer.alloc(0)),
  ).toMatchObject({
    id: 258,
    code: 1,
  });
  expect(respondToMalformed(Buffer.from([1, 2, 0x80]))).toBeUndefined();
});

test('random bytes never make the server throw', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (noise) => void respondToMalformed(Buffer.from(noise))),
    { seed: 20_263, numRuns: 300 },
  );
});
