import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { backgroundJob, fastApi, slowApi, userFacingApi } from '../src/index.ts';

const presets = { userFacingApi, backgroundJob, fastApi, slowApi };
const page = readFileSync(join(import.meta.dirname, '../../../docs/policies/presets.md'), 'utf8');

/** The numbers of an object, by their paths: `retry.maxAttempts`. */
function numbersOf(options: object, path = ''): [string, number][] {
  return Object.entries(options).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'number') return [[path + name, value]];
    return typeof value === 'object' && value !== null ? numbersOf(value, `${path}${name}.`) : [];
  });
}

test('the page of the presets states their options as they are, and no others', () => {
  const [header = [], ...rows] = [...page.matchAll(/^\| (?:Option|`[\w.]+`) .*$/gm)].map(
    ({ 0: row }) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll(/[` ]/g, '')),
  );
  const stated = header
    .slice(1)
    .map((name, column) => [
      name,
      Object.fromEntries(rows.map((cells) => [cells[0], Number(cells[column + 1])])),
    ]);
  const actual = Object.entries(presets).map(([name, options]) => [
    name,
    Object.fromEntries(numbersOf(options)),
  ]);
  expect(Object.fromEntries(stated)).toEqual(Object.fromEntries(actual));
});
