import { expect, test } from '@jest/globals';
import { type Call, isLinearizable } from './linearizability.ts';

const write = (value: string, began: number, ended: number): Call => ({
  kind: 'write',
  value,
  began,
  ended,
});
const read = (value: string | undefined, began: number, ended: number): Call => ({
  kind: 'read',
  value,
  began,
  ended,
});

test.each<[string, boolean, Call[]]>([
  ['a read after a write sees it', true, [write('a', 1, 2), read('a', 3, 4)]],
  ['a read after a write misses it', false, [write('a', 1, 2), read(undefined, 3, 4)]],
  ['a read during a write may miss it', true, [write('a', 1, 4), read(undefined, 2, 3)]],
  [
    'time goes backwards between two reads',
    false,
    [write('a', 1, 10), read('a', 2, 3), read(undefined, 4, 5)],
  ],
  [
    'two writes at once, seen in one order',
    true,
    [write('a', 1, 4), write('b', 2, 5), read('b', 6, 7), read('b', 8, 9)],
  ],
  [
    'two writes at once, seen in both orders',
    false,
    [write('a', 1, 4), write('b', 2, 5), read('b', 6, 7), read('a', 8, 9)],
  ],
  ['an unknown write may never show', true, [write('a', 1, Infinity), read(undefined, 2, 3)]],
  [
    'an unknown write may show late',
    true,
    [write('a', 1, Infinity), read(undefined, 2, 3), read('a', 4, 5)],
  ],
  [
    'an unknown write that has shown is gone again',
    false,
    [write('a', 1, Infinity), read('a', 2, 3), read(undefined, 4, 5)],
  ],
  [
    'an unknown write takes effect twice',
    false,
    [write('a', 1, Infinity), read('a', 2, 3), write('b', 4, 5), read('b', 6, 7), read('a', 8, 9)],
  ],
  ['a value nobody has written', false, [read('x', 1, 2)]],
])('%s: %s', (_, linearizable, calls) => {
  expect(isLinearizable(calls)).toBe(linearizable);
});
