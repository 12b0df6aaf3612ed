import { expect, test } from '@jest/globals';
import { RecentIds } from '../../src/consumer/recent-ids.ts';

test('the newest ids are known, and each new one replaces the oldest', () => {
  const recent = new RecentIds(3);
  for (const id of ['a', 'b', 'c', 'd', 'e']) recent.add(id);
  expect(['a', 'b', 'c', 'd', 'e'].filter((id) => recent.has(id))).toEqual(['c', 'd', 'e']);
  recent.add('d');
  recent.add('f');
  expect(['c', 'd', 'e', 'f'].filter((id) => recent.has(id))).toEqual(['d', 'e', 'f']);
});

test('with a limit of 0, no id is known', () => {
  const recent = new RecentIds(0);
  recent.add('a');
  expect(recent.has('a')).toBe(false);
});
