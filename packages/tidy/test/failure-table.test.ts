import { expect, test } from '@jest/globals';
import { repositoryOf } from '../src/repository.ts';
import { failureTablesHaveTheSuitesRows } from '../src/rules/failure-table.ts';

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
