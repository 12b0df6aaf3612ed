import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  CommandReader,
  type RedisReply,
  ReplyScanner,
  decodeReply,
  encodeCommand,
  keySlot,
} from '@holdfast/protocols/redis';
import { cutAnywhere } from './chunks.ts';

const SEED = 4;
const words = fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 5 });

const line = fc.string({ maxLength: 10 }).map((text) => text.replace(/[\r\n]/g, ' '));
const { reply } = fc.letrec<{
  reply: string;
  scalar: string;
  list: string;
  map: string;
  described: string;
}>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('scalar'),
    tie('list'),
    tie('map'),
    tie('described'),
  ),
  scalar: fc.oneof(
    fc.tuple(fc.constantFrom('+', '-', ','), line).map(([type, text]) => `${type}${text}\r\n`),
    fc.integer().map((number) => `:${number}\r\n`),
    fc.constantFrom('_\r\n', '#t\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n', '%0\r\n', '$0\r\n\r\n'),
    fc
      .tuple(fc.constantFrom('$', '=', '!'), fc.string({ maxLength: 40 }))
      .map(([type, text]) => `${type}${Buffer.byteLength(text)}\r\n${text}\r\n`),
  ),
  list: fc
    .tuple(fc.constantFrom('*', '~'), fc.array(tie('reply'), { maxLength: 4 }))
    .map(([type, list]) => `${type}${list.length}\r\n${list.join('')}`),
  map: fc
    .array(fc.tuple(tie('scalar'), tie('reply')), { maxLength: 3 })
    .map((list) => `%${list.length}\r\n${list.flat().join('')}`),
  described: fc
    .tuple(tie('scalar'), tie('scalar'), tie('reply'))
    .map(([key, value, described]) => `|1\r\n${key}${value}${described}`),
}));
const push = fc
  .array(reply, { minLength: 1, maxLength: 3 })
  .map((list) => `>${list.length}\r\n${list.join('')}`);

test('commands are read whole wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 8 }), fc.infiniteStream(fc.nat(30)), (list, cuts) => {
      const reader = new CommandReader(1_000_000);
      const sent = Buffer.from(list.map(encodeCommand).join(''));
      const read = [...cutAnywhere(sent, cuts)].flatMap((chunk) => reader.read(chunk));
      expect(read.map(({ name, args }) => [name, ...args.map(String)])).toEqual(
        list.map(([name = '', ...args]) => [
          Buffer.from(name).toString('latin1').toLowerCase(),
          ...args,
        ]),
      );
      expect(Buffer.concat(read.map(({ bytes }) => bytes))).toEqual(sent);
      expect(reader.rest()).toHaveLength(0);
    }),
    { seed: SEED },
  );
});

test('the end of a RESP2 or RESP3 reply is found wherever the stream is cut', () => {
  const frames = fc.array(
    fc.oneof(
      reply.map((text) => ({ text, isReply: true })),
      push.map((text) => ({ text, isReply: false })),
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.nat(30)), (list, cuts) => {
      const scanner = new ReplyScanner();
      const seen: { text: string; isReply: boolean }[] = [];
      let piece = '';
      const sent = Buffer.from(list.map(({ text }) => text).join(''));
      for (const chunk of cutAnywhere(sent, cuts)) {
        for (const { bytes, isReply, isLast } of scanner.scan(chunk)) {
          piece += bytes.toString('latin1');
          if (!isLast) continue;
          seen.push({ text: Buffer.from(piece, 'latin1').toString(), isReply });
          piece = '';
        }
      }
      expect(seen).toEqual(list);
    }),
    { seed: SEED },
  );
});

test('an inline command is read as a command, and an empty line as none', () => {
  const reader = new CommandReader(100);
  const read = reader.read(Buffer.from('SET key  value\r\n\r\nping\n*0\r\n'));
  expect(read.map(({ name, args }) => [name].concat(args.map(String)))).toEqual([
    ['set', 'key', 'value'],
    [''],
    ['ping'],
    [''],
  ]);
});

test.each(['*1\r\n+PING\r\n', '*x\r\n', '*1\r\n$-5\r\n', '*1\r\n$200\r\n'.padEnd(120, 'x')])(
  'the bytes %j are rejected as not a command',
  (bytes) => {
    expect(() => new CommandReader(100).read(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  },
);

test.each(['HTTP/1.1 200 OK\r\n', '$x\r\n', '*1\r\n'.repeat(200), `$${'1'.repeat(100)}`])(
  'the bytes %j are rejected as not a reply',
  (bytes) => {
    expect(() => new ReplyScanner().scan(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  },
);

test.each([
  ['foo', 12_182],
  ['123456789', 0x31c3],
  ['{user1000}.following', keySlot(Buffer.from('user1000'))],
  ['foo{}{bar}', keySlot('foo{}{bar}')],
  ['foo{{bar}}zap', keySlot('{bar')],
  ['foo{bar}{zap}', keySlot('bar')],
])('the slot of %s is %d', (key, slot) => {
  expect(keySlot(key)).toBe(slot);
});

test('a command is sent as an array of bulk strings, lengths in bytes', () => {
  expect(encodeCommand(['SET', 'ü'])).toBe('*2\r\n$3\r\nSET\r\n$2\r\nü\r\n');
});

const oneValue = (value: string): RedisReply => ({ kind: 'value', value });
const listOf = (...items: RedisReply[]): RedisReply => ({ kind: 'list', items });

test.each([
  ['+PONG\r\n', { kind: 'value', value: 'PONG' }],
  [':3\r\n', { kind: 'value', value: '3' }],
  ['-LOADING Redis is loading\r\n', { kind: 'error', text: 'LOADING Redis is loading' }],
  ['$-1\r\n', { kind: 'value', value: null }],
  ['$4\r\na\r\nb\r\n', { kind: 'value', value: 'a\r\nb' }],
  ['$4\r\na\r\nb', undefined],
  ['*2\r\n:1\r\n*1\r\n$1\r\na\r\n', listOf(oneValue('1'), listOf(oneValue('a')))],
  ['*-1\r\n', listOf()],
  ['*2\r\n:1\r\n', undefined],
  ['+PON', undefined],
])('the reply %j is read as %j', (received, expected) => {
  expect(decodeReply(Buffer.from(received))).toEqual(expected);
});

test('an HTTP response is rejected as not a reply', () => {
  expect(() => decodeReply(Buffer.from('HTTP/1.1 400\r\n'))).toThrow('not the Redis protocol');
});
