import { expect, test } from '@jest/globals';
import {
  type Arbitrary,
  array,
  assert,
  constant,
  constantFrom,
  nat,
  oneof,
  option,
  property,
  record,
  string,
} from 'fast-check';
import { FrontendDecoder, type FrontendMessage } from '@holdfast/protocols/postgres';

const SEED = 20_260_101;
const VIOLATION: unknown = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' });
const STARTUP: FrontendMessage = { kind: 'startup', parameters: { user: 'ada', database: 'db' } };

const word = string({ maxLength: 20, unit: 'binary' }).filter((drawn) => !drawn.includes('\0'));
const target = constantFrom<'portal' | 'statement'>('portal', 'statement');
const message: Arbitrary<FrontendMessage> = oneof(
  record({ kind: constant<'query'>('query'), sql: word }),
  record({ kind: constant<'parse'>('parse'), statement: word, sql: word }),
  record({
    kind: constant<'bind'>('bind'),
    portal: word,
    statement: word,
    values: array(option(word)),
  }),
  record({ kind: constant<'describe'>('describe'), of: target, name: word }),
  record({ kind: constant<'execute'>('execute'), portal: word }),
  record({ kind: constant<'close'>('close'), of: target, name: word }),
  record({ kind: constant<'password'>('password'), password: word }),
  constantFrom<FrontendMessage>({ kind: 'sync' }, { kind: 'flush' }, { kind: 'terminate' }),
  constant<FrontendMessage>({ kind: 'unknown', type: 'z' }),
);

test('messages are read whole and in order wherever the stream is cut', () => {
  assert(
    property(array(message), array(nat({ max: 400 })), (messages, cuts) => {
      const sent = [{ kind: 'encryption-request' as const }, STARTUP, ...messages];
      const bytes = Buffer.concat(sent.map(encode));
      const decoder = new FrontendDecoder(1_000_000);
      const received = chunks(bytes, cuts).flatMap((chunk) => decoder.push(chunk));
      expect(received).toEqual(sent);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('a message over the limit is rejected by its head alone', () => {
  const decoder = new FrontendDecoder(64);
  decoder.push(encode(STARTUP));
  expect(() => decoder.push(Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]))).toThrow(VIOLATION);
});

test('a message whose string has no end is rejected', () => {
  const decoder = new FrontendDecoder(64);
  decoder.push(encode(STARTUP));
  expect(() => decoder.push(typed('Q', Buffer.from('select 1')))).toThrow(VIOLATION);
});

function encode(sent: FrontendMessage): Buffer {
  switch (sent.kind) {
    case 'encryption-request':
      return framed(int32(80_877_103));
    case 'startup': {
      const pairs = Object.entries(sent.parameters).flat().map(text);
      return framed(int32(196_608), ...pairs, Buffer.alloc(1));
    }
    case 'query':
      return typed('Q', text(sent.sql));
    case 'parse':
      return typed('P', text(sent.statement), text(sent.sql), int16(0));
    case 'bind': {
      const values = sent.values.map((value) => {
        if (value === null) return int32(-1);
        const bytes = Buffer.from(value);
        return Buffer.concat([int32(bytes.length), bytes]);
      });
      const names = [text(sent.portal), text(sent.statement)];
      return typed('B', ...names, int16(0), int16(values.length), ...values, int16(0));
    }
    case 'describe':
      return typed('D', Buffer.from(sent.of === 'portal' ? 'P' : 'S'), text(sent.name));
    case 'close':
      return typed('C', Buffer.from(sent.of === 'portal' ? 'P' : 'S'), text(sent.name));
    case 'execute':
      return typed('E', text(sent.portal), int32(0));
    case 'sync':
      return typed('S');
    case 'flush':
      return typed('H');
    case 'terminate':
      return typed('X');
    case 'cancel-request':
      return framed(int32(80_877_102), int32(sent.processId), int32(sent.secret));
    case 'password':
      return typed('p', text(sent.password));
    case 'unknown':
    default:
      return typed(sent.type);
  }
}

function chunks(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const edges = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length];
  const inOrder = edges.toSorted((left, right) => left - right);
  return inOrder.slice(1).map((edge, index) => bytes.subarray(inOrder[index], edge));
}

function typed(type: string, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(type), framed(...parts)]);
}

function framed(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
