import { expect, test } from '@jest/globals';
import { statementsIn } from '../src/postgres/statements.ts';

test.each([
  ['commit; select 1', ['commit', 'select 1']],
  [`select ';', "a;b"; select $$;$$ -- ;`, [`select ';', "a;b"`, 'select $$;$$ -- ;']],
  ['select /* ; */ 1;;', ['select /* ; */ 1']],
  [' ; ', ['']],
])('%j is split into the statements %j', (sql, statements) => {
  expect(statementsIn(sql)).toEqual(statements);
});
