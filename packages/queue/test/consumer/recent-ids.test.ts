import { expect, test } from '@jest/globals';
import { RecentIds } from '../../src/consumer/recent-ids.ts';

test('the newest ids are known, and the oldest gives way to each new one', () => {
  const recent = new RecentIds(3);
  for (const id of ['a', 'b', 'c', 'd', 'e']) recent.add(id);
  expect(['a', 'b', 'c', 'd', 'e'].filter((id) => recent.has(id))).toEqual(['c', 'd', 'e']);
  recent.add('d');
  recent.add('f');
  expect(['c', 'd', 'e', 'f'].filter((id) => recent.has(id))).toEqual(['d', 'e', 'f']);
});

test('where none is to be kept, none is', () => {
  const recent = new RecentIds(0);
  recent.add('a');
  expect(recent.has('a')).toBe(false);
});
