import { expect, test } from '@jest/globals';
import { LinkedList, ListNode, OrderedMap } from '@holdfast/foundation';

class Member extends ListNode {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

function namesIn(list: LinkedList<Member>): string {
  return Array.from(list, ({ name }) => name).join('');
}

test('a list keeps the order of insertion, whichever member is removed', () => {
  const a = new Member('a');
  const b = new Member('b');
  const c = new Member('c');
  const d = new Member('d');
  const e = new Member('e');
  const list = new LinkedList<Member>();
  for (const member of [a, b, c, d, e]) list.append(member);
  const left = [a, c, e, c].map((member) => list.remove(member));
  expect([left, namesIn(list), list.first]).toEqual([[true, true, true, false], 'bd', b]);
  list.append(a);
  expect([namesIn(list), list.size]).toEqual(['bda', 3]);
});

test('a member keeps its position when appended again, also as the only one', () => {
  const [a, b] = [new Member('a'), new Member('b')];
  const list = new LinkedList<Member>();
  list.append(a);
  list.append(a);
  expect([namesIn(list), list.size]).toEqual(['a', 1]);
  list.append(b);
  list.append(a);
  expect([namesIn(list), list.size]).toEqual(['ab', 2]);
});

test('a list can be emptied while it is iterated', () => {
  const list = new LinkedList<Member>();
  for (const name of 'abc') list.append(new Member(name));
  for (const member of list) list.remove(member);
  expect([namesIn(list), list.size, list.first]).toEqual(['', 0, undefined]);
});

test('an ordered map keeps keys apart that an object would not, in order', () => {
  const map = new OrderedMap<number>();
  const keys = ['b', '10', '__proto__', 'constructor', '2', ''];
  expect(keys.map((key) => map.get(key))).toEqual(keys.map(() => undefined));
  for (const [value, key] of keys.entries()) map.set(key, value);
  map.set('10', 11);
  map.delete('b');
  map.delete('not there');
  expect([map.size, map.first, map.values()]).toEqual([5, 11, [11, 2, 3, 4, 5]]);
  expect(map.get('__proto__')).toBe(2);
});
