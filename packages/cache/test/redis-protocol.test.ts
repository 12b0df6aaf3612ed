import { expect, test } from '@jest/globals';
import { encode } from '../src/codec/encode.ts';
import { PendingInvalidations } from '../src/redis/pending-invalidations.ts';
import { decodeEntry, encodeEntry } from '../src/redis/protocol/entry-format.ts';
import { keyOf, nameOf } from '../src/redis/protocol/keys.ts';
import { compareIds, laterOf, previousId } from '../src/redis/protocol/stream-id.ts';
import { messagesIn } from '../src/redis/protocol/stream-message.ts';

test('ids are ordered by their numbers, not by their text', () => {
  expect(compareIds('9-0', '10-0')).toBeLessThan(0);
  expect(compareIds('5-9', '5-10')).toBeLessThan(0);
  expect(compareIds('5-1', '5-1')).toBe(0);
  expect(laterOf('18446744073709551615-1', '1-1')).toBe('18446744073709551615-1');
});

test('reading after the id before another begins with that one', () => {
  expect(previousId('7-3')).toBe('7-2');
  expect(previousId('7-0')).toBe('6-18446744073709551615');
  expect(previousId('0-0')).toBe('0-0');
});

test.each(['plain', '=', '!', 'é字🎉', '\ud83c', '\udf89', '__proto__', '"\n'])(
  'the key %j has a name of its own, from which it is read again',
  (key) => {
    expect(keyOf(nameOf(key))).toBe(key);
    expect(nameOf(key).isWellFormed()).toBe(true);
  },
);

test('what is no name of a key is none', () => {
  for (const name of ['', 'key', '!', '!{}', '!5']) expect(keyOf(name)).toBeUndefined();
});

const header = {
  epoch: 'e',
  schema: 1,
  freshMs: 10,
  keptMs: 20,
  writtenAtEpochMs: 5,
  loadMs: 1,
  tags: ['a', 'b'],
};

function stored(line: string): Buffer {
  const bytes = encodeEntry('=key', header, encode(new Date(1)));
  return Buffer.concat([Buffer.from(`${line}\n`), bytes]);
}

test('an entry is read with its header, and with the versions of its tags', () => {
  const decoded = decodeEntry('=key', 1, stored('5-1 0-0:4 3-2'));
  expect(decoded).toMatchObject({ kind: 'value', header, versions: ['0-0:4', '3-2'] });
  expect(decoded.kind === 'value' && decoded.read()).toStrictEqual(new Date(1));
});

test('a deletion, an entry of another schema or key, and one cut short are told apart', () => {
  const whole = stored('5-1');
  expect(decodeEntry('=key', 1, Buffer.from('5-1\n')).kind).toBe('deleted');
  expect(decodeEntry('=key', 2, whole).kind).toBe('foreign');
  expect(decodeEntry('=other', 1, whole).kind).toBe('damaged');
  for (let length = 0; length < whole.length; length += 1) {
    const kind = length === 4 ? 'deleted' : 'damaged';
    expect(decodeEntry('=key', 1, whole.subarray(0, length)).kind).toBe(kind);
  }
});

test('messages that nobody knows are passed over, and take no other with them', () => {
  const entry = (id: string, kind: string, name: string): unknown => [
    id,
    ['k', kind, 'n', 'node', 'v', name],
  ];
  const reply = [
    ['stream', [entry('1-1', 'later', '=a'), entry('1-2', 'set', '=b'), ['1-3', null]]],
  ];
  expect(messagesIn(reply)).toMatchObject([
    { id: '1-1', kind: 'unknown' },
    { id: '1-2', kind: 'set', name: 'b' },
    { id: '1-3', kind: 'unknown' },
  ]);
  expect(messagesIn(null)).toStrictEqual([]);
});

test('of more invalidations than fit, only this is kept: everything is invalid', () => {
  const pending = new PendingInvalidations(2);
  pending.add({ kind: 'key', key: 'a' });
  pending.add({ kind: 'key', key: 'a' });
  pending.add({ kind: 'tag', tag: 't' });
  expect(pending.size).toBe(2);
  expect(pending.hasKey('b')).toBe(false);
  expect(pending.hasTag(['t'])).toBe(true);
  expect(pending.next(1)).toStrictEqual([{ kind: 'key', key: 'a' }]);
  pending.add({ kind: 'key', key: 'b' });
  expect(pending.next(10)).toStrictEqual([{ kind: 'all' }]);
  expect(pending.hasKey('any')).toBe(true);
  pending.delete({ kind: 'all' });
  expect(pending.size).toBe(0);
});
