import { expect, test } from '@jest/globals';
import { repositoryOf } from './repository.ts';
import { failureTableHasTheSuitesRows } from './rules/failure-table.ts';

const suite = `scenario('family', {\n    promise: 'nothing is lost',\n  });\n`;
const table = (...rows: string[]): string =>
  [
    '<!-- scenarios -->',
    '| Promise | Fault |',
    '| --- | --- |',
    ...rows,
    '<!-- /scenarios -->',
  ].join('\n');

function offencesOf(readme: string): string[] {
  const files = { 'README.md': readme, 'packages/suites/test/family/a.test.ts': suite };
  return failureTableHasTheSuitesRows(repositoryOf(files)).map(
    ({ path, says }) => `${path} ${says}`,
  );
}

test('a table with the rows of the suites passes', () => {
  expect(offencesOf(table('| nothing is lost | kill |'))).toEqual([]);
});

test('a scenario without a row, and a row without a scenario, are caught', () => {
  expect(offencesOf(table('| nothing is doubled | kill |'))).toEqual([
    `packages/suites/test/family/a.test.ts is not a row of the README's failure table`,
    'README.md "nothing is doubled" is a row without a scenario',
  ]);
  expect(offencesOf('no table at all')).toHaveLength(1);
});
