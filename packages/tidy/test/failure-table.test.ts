import { expect, test } from '@jest/globals';
import { repositoryOf } from '../src/repository.ts';
import {
  everyCodeHasARow,
  failurePagesNameTestsThatExist,
  failureTablesHaveTheSuitesRows,
} from '../src/rules/failure-table.ts';

const suite = `scenario('family', {\n    promise: 'nothing is lost',\n  });\n`;
const table = (family: string, ...rows: string[]): string =>
  [
    `<!-- scenarios: ${family} -->`,
    '| Promise | Fault |',
    '| --- | --- |',
    ...rows,
    '<!-- /scenarios -->',
  ].join('\n');

function violationsOf(readme: string): string[] {
  const files = {
    'docs/results/family.md': readme,
    'packages/suites/test/family/a.test.ts': suite,
  };
  return failureTablesHaveTheSuitesRows(repositoryOf(files)).map(
    ({ path, message }) => `${path} ${message}`,
  );
}

test('a table with the rows of its family passes in any result page', () => {
  expect(violationsOf(table('family', '| nothing is lost | kill |'))).toEqual([]);
});

test('a scenario without a row and a row without a scenario are reported', () => {
  expect(violationsOf(table('family', '| nothing is doubled | kill |'))).toEqual([
    'packages/suites/test/family/a.test.ts is not a row of the table of its family',
    'docs/results/family.md "nothing is doubled" is a row without a scenario',
  ]);
  expect(violationsOf(table('other', '| nothing is lost | kill |'))).toHaveLength(1);
  expect(violationsOf('no table at all')).toHaveLength(1);
});

test('a page of a failure names tests that exist, with sentences that they have', () => {
  const page = (...items: string[]): string[] => {
    const files = {
      'docs/failures/a.md': ['## What you see', '## Tests that show it', ...items].join('\n'),
      'packages/suites/test/family/a.test.ts': `test('nothing is lost', () => undefined);`,
    };
    return failurePagesNameTestsThatExist(repositoryOf(files)).map(({ message }) => message);
  };
  const item = (name: string, sentence: string): string =>
    `- [a](../../packages/suites/test/family/${name}): “${sentence}”`;
  expect(page(item('a.test.ts', 'nothing is lost'))).toEqual([]);
  expect(page(item('a.test.ts', 'nothing is doubled'))).toEqual([
    'packages/suites/test/family/a.test.ts has no test "nothing is doubled"',
  ]);
  expect(page(item('b.test.ts', 'nothing is lost'))).toContain(
    'packages/suites/test/family/b.test.ts does not exist',
  );
  expect(page()).toEqual(['names no test that shows it']);
  expect(page(item('a.test.ts', 'nothing is lost'), '- a test')).toEqual([
    'has no sentence of a test',
  ]);
});

test('each code of a published package has a row, and each row a code', () => {
  const found = (row: string): string[] => {
    const files = {
      'docs/failures/codes.md': `| Code | Error |\n| --- | --- |\n| \`${row}\` | \`FullError\` |\n`,
      'packages/queue/package.json': '{}',
      'packages/queue/src/errors.ts': `  readonly code = 'QUEUE_FULL';\n`,
      'packages/suites/package.json': '{ "private": true }',
      'packages/suites/src/errors.ts': `  readonly code = 'SUITES_ONLY';\n`,
    };
    return everyCodeHasARow(repositoryOf(files)).map(({ message }) => message);
  };
  expect(found('QUEUE_FULL')).toEqual([]);
  expect(found('QUEUE_EMPTY')).toEqual([
    'QUEUE_FULL has no row in docs/failures/codes.md',
    'no error has the code QUEUE_EMPTY',
  ]);
});
