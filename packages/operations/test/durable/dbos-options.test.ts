import { expect, test } from '@jest/globals';
import { createDbosRunner } from '@holdfast/operations/dbos';

const SCHEMA_LENGTH = 48;

/** Nobody listens there: what is refused is refused before anything is asked. */
const databaseUrl = 'postgres://127.0.0.1:1/none';

test.each([
  'runs"; drop schema public cascade; --',
  'Runs',
  'two words',
  '1runs',
  'runs\n',
  'r\u00fcns',
  '',
  'r'.repeat(SCHEMA_LENGTH + 1),
])('the schema %j is refused before the database is asked', async (schema) => {
  await expect(createDbosRunner({ functions: {}, databaseUrl, schema })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'schema',
    value: schema,
  });
});

test.each(['runs', '_runs_2', 'r'.repeat(SCHEMA_LENGTH)])(
  'the schema %j is taken to the database',
  async (schema) => {
    await expect(createDbosRunner({ functions: {}, databaseUrl, schema })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  },
);
