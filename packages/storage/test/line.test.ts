import { expect, test } from '@jest/globals';
import { Line, type Placed } from '../src/line.ts';
import { Table } from '../src/table.ts';

class Guest implements Placed<Guest> {
  before: Guest | undefined;
  behind: Guest | undefined;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

function namesIn(line: Line<Guest>): string {
  return Array.from(line, ({ name }) => name).join('');
}

test('a line keeps the order of coming, whoever leaves it', () => {
  const a = new Guest('a');
  const b = new Guest('b');
  const c = new Guest('c');
  const d = new Guest('d');
  const e = new Guest('e');
  const line = new Line<Guest>();
  for (const guest of [a, b, c, d, e]) line.add(guest);
  const left = [a, c, e, c].map((guest) => line.delete(guest));
  expect([left, namesIn(line), line.first]).toEqual([[true, true, true, false], 'bd', b]);
  line.add(a);
  expect([namesIn(line), line.size]).toEqual(['bda', 3]);
});

test('who has a place in a line keeps it when added again, also as the only one', () => {
  const [a, b] = [new Guest('a'), new Guest('b')];
  const line = new Line<Guest>();
  line.add(a);
  line.add(a);
  expect([namesIn(line), line.size]).toEqual(['a', 1]);
  line.add(b);
  line.add(a);
  expect([namesIn(line), line.size]).toEqual(['ab', 2]);
});

test('a line can be emptied while it is walked through', () => {
  const line = new Line<Guest>();
  for (const name of 'abc') line.add(new Guest(name));
  for (const guest of line) line.delete(guest);
  expect([namesIn(line), line.size, line.first]).toEqual(['', 0, undefined]);
});

test('a table tells keys apart that an object would not, and keeps their order', () => {
  const table = new Table<number>();
  const keys = ['b', '10', '__proto__', 'constructor', '2', ''];
  expect(keys.map((key) => table.get(key))).toEqual(keys.map(() => undefined));
  for (const [value, key] of keys.entries()) table.set(key, value);
  table.set('10', 11);
  table.delete('b');
  table.delete('not there');
  expect([table.size, table.first, table.values()]).toEqual([5, 11, [11, 2, 3, 4, 5]]);
  expect(table.get('__proto__')).toBe(2);
});
