import { afterEach, expect, test } from '@jest/globals';
import { endsTransaction, transactionEnd } from '../../src/connection/transaction-control.ts';
import type { Database } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const ending = [
  'rollback',
  'ROLLBACK;',
  '  rollback work',
  'rollback transaction',
  'rollback and chain',
  'rollback prepared',
  'commit',
  'commit and chain',
  'commit transaction and no chain',
  "commit prepared 'x'",
  'end',
  'end transaction',
  'abort',
  'abort work and chain',
  "prepare transaction 'x'",
  '-- done\ncommit',
  '/* done */ commit',
  '/* /* n */ */ commit',
  '-- done\rcommit',
  '/* begin atomic */ commit',
  'select 1 /* a /* b */ c /* d */ */; commit',
  '/* a */ select 1 /* b */; commit',
  'insert into t values (1); commit',
  "insert into t values ('a;b'); commit; insert into t values (2)",
  'commit; begin',
  "select E'it\\'s'; rollback",
  'rollback;rollback to a',
];

const harmless = [
  'select 1',
  'rollback to a',
  'rollback to savepoint a',
  'rollback work to savepoint a',
  'rollback transaction to a',
  'savepoint commit_point',
  'release savepoint a',
  "select 'x; commit'",
  "select E'x\\'; commit'",
  'select "x; rollback"',
  "select 1 where a like'\\' and b = '; commit'",
  'do $$ begin perform 1; end $$',
  'do $body$ begin perform 1; end $body$',
  'select case when true then 1 end',
  'select case when true then 1\nend; select 2',
  '-- commit\nselect 1',
  'select 1 /* ; commit ; */',
  '/* /* */ ; commit */ select 1',
  '/* a */ select 1 /* ; commit */',
  'select 1 /* ; commit',
  "select '/*', 1 /* ; commit '*/",
  'prepare plan as select 1',
  'create function f() returns int begin atomic select 1; end',
  'insert into commits (abort, rollback) values (1, 2)',
  'update ends set "end" = 1',
];

test.each(ending)(
  '%j inside a transaction is not sent, and the transaction is an error',
  async (sql) => {
    const { db, server } = await opened.database();
    const call = db.transaction(async (tx) => {
      await tx.query('select 1');
      await tx.query(sql).catch(() => undefined);
      await tx.query('select 2').catch(() => undefined);
    });
    expect(await failureOf(call)).toMatchObject({
      code: 'DATABASE_TRANSACTION_CONTROL',
      outcome: 'not-applied',
      phase: 'not-sent',
      retryable: false,
    });
    expect(server.statements()).toEqual(['begin', 'select 1', 'rollback']);
  },
);

test.each(harmless)('%j is no transaction control', (sql) => {
  expect(endsTransaction(sql)).toBe(false);
});

test('a savepoint can be rolled back to, and the transaction commits', async () => {
  const { db, server } = await opened.database();
  await db.transaction(async (tx) => {
    await tx.query('savepoint a');
    await tx.query('rollback to savepoint a');
    await tx.query('release savepoint a');
  });
  expect(statementsLike(server, /^commit/)).toBe(1);
});

const ATOMIC = 'create function f() returns int begin atomic select 1; end';

test.each([
  ['COMMIT', 'applied'],
  ['PREPARE TRANSACTION', 'unknown'],
])('where only the reply tells, %s is an error with the outcome %s', async (command, outcome) => {
  const { db, server } = await opened.database();
  server.reply(/begin atomic/, { command });
  server.reply('end', { command });
  const call = db.transaction(async (tx) => {
    await tx.query(ATOMIC).catch(() => undefined);
    throw new Error('as if nothing was kept');
  });
  expect(await failureOf(call)).toMatchObject({ code: 'DATABASE_TRANSACTION_CONTROL', outcome });
});

test.each([
  [['COMMIT'], 'I', 'commit', 'committed'],
  [['COMMIT'], 'T', 'commit and chain', 'committed'],
  [['INSERT 0 1', 'COMMIT', 'BEGIN'], 'T', '', 'committed'],
  [['PREPARE TRANSACTION'], 'I', '', 'prepared'],
  [['ROLLBACK'], 'I', 'rollback', 'rolled back'],
  [['ROLLBACK'], 'T', 'rollback /* now */ and chain', 'rolled back'],
  [['ROLLBACK'], 'T', 'rollback /* /* */ now */ and chain', 'rolled back'],
  [['ROLLBACK'], 'T', 'rollback to a /* /* */ and chain */', undefined],
  [['ROLLBACK', 'START TRANSACTION'], 'T', '', 'rolled back'],
  [['ROLLBACK'], 'T', 'rollback to savepoint a', undefined],
  [['SELECT 1'], 'T', 'select 1', undefined],
  [['SELECT 1'], 'E', 'select 1/0', undefined],
  [[], 'I', 'a timeout of the server', 'rolled back'],
] as const)('the tags %j with status %s of %j mean: %s', (commands, status, text, end) => {
  expect(transactionEnd({ commands, status, text })).toBe(end);
});

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['query', (db) => db.query('begin; insert into t values (1)')],
  ['read', (db) => db.read('any', (reader) => reader.query('begin'))],
  ['session', (db) => db.session().query('begin; insert into t values (1)')],
])(
  'a transaction that a %s has left open is an error, not a success that is rolled back',
  async (_, call) => {
    const { db, server } = await opened.database({ max: 1 });
    server.reply(/^insert/, { command: 'INSERT 0 1' });
    expect(await failureOf(call(db))).toMatchObject({
      code: 'DATABASE_TRANSACTION_CONTROL',
      outcome: 'not-applied',
    });
    await db.query('select 1');
    expect(server.statements()).toContain('rollback');
  },
);

test('a text that begins and commits its own transaction is no error', async () => {
  const { db } = await opened.database();
  await expect(db.query('begin; select 1; commit')).resolves.toBeDefined();
});
