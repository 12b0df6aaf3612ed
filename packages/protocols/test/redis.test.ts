import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createCommandReader, createReplyScanner, keySlot } from '@holdfast/protocols/redis';
import { cutAnywhere } from './chunks.ts';

const SEED = 4;
const words = fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 5 });
const asArray = (list: readonly string[]): string =>
  `*${list.length}\r\n${list.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

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

test('commands are cut out of a stream wherever its packets end', () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 8 }), fc.infiniteStream(fc.nat(30)), (list, cuts) => {
      const reader = createCommandReader(1_000_000);
      const sent = Buffer.from(list.map(asArray).join(''));
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

test('replies of RESP2 and RESP3 end where they end, wherever their packets do', () => {
  const frames = fc.array(
    fc.oneof(
      reply.map((text) => ({ text, isReply: true })),
      push.map((text) => ({ text, isReply: false })),
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.nat(30)), (list, cuts) => {
      const scan = createReplyScanner();
      const seen: { text: string; isReply: boolean }[] = [];
      let piece = '';
      const sent = Buffer.from(list.map(({ text }) => text).join(''));
      for (const chunk of cutAnywhere(sent, cuts)) {
        for (const { bytes, isReply, isLast } of scan(chunk)) {
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

test('inline commands are commands too, and an empty line is none', () => {
  const reader = createCommandReader(100);
  const read = reader.read(Buffer.from('SET key  value\r\n\r\nping\n*0\r\n'));
  expect(read.map(({ name, args }) => [name].concat(args.map(String)))).toEqual([
    ['set', 'key', 'value'],
    [''],
    ['ping'],
    [''],
  ]);
});

test.each(['*1\r\n+PING\r\n', '*x\r\n', '*1\r\n$-5\r\n', '*1\r\n$200\r\n'.padEnd(120, 'x')])(
  'what is no command is refused: %j',
  (bytes) => {
    expect(() => createCommandReader(100).read(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  },
);

test.each(['HTTP/1.1 200 OK\r\n', '$x\r\n', '*1\r\n'.repeat(200), `$${'1'.repeat(100)}`])(
  'what is no reply is refused: %j',
  (bytes) => {
    expect(() => createReplyScanner()(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  },
);

test('the slot of a key is that of the Cluster specification', () => {
  expect(keySlot(Buffer.from('123456789'))).toBe(0x31c3);
  expect(keySlot(Buffer.from('{user1000}.following'))).toBe(keySlot(Buffer.from('user1000')));
  expect(keySlot(Buffer.from('foo{}{bar}'))).not.toBe(keySlot(Buffer.from('bar')));
});
