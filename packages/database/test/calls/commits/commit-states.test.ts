import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { FakeReply } from '@holdfast/emulators/postgres';
import type { Transaction } from '../../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

/** States that say that the server has rolled back. */
const rolledBack = [
  '02000 0A000 0B000 21000 22012 23000 23503 23505 25000 25P01 25P02 2D000 34000 3B001 40000 40001 40002 40P01 42501',
  '42P01 44000 53000 53100 53200 53300 54000 55000 55P03 57000 57014 58000 58030 F0000 HV000 P0001 XX000 XX001 XX002',
].flatMap((states) => states.split(' '));

/** States that say that the connection to the server failed, or that the server does not know itself. */
const unknown = [
  '08000 08001 08003 08004 08006 08007 08P01 40003 57P01 57P02 57P03 57P04 57P05',
].flatMap((states) => states.split(' '));

test.each(rolledBack)('ERROR %s in reply to COMMIT: nothing was applied', async (error) => {
  const { db, server } = await opened.database();
  server.reply(/^commit/, { error });
  const call = db.transaction((tx) => tx.query('select 1'), { maxRetries: 0 });
  expect(await failureOf(call)).toMatchObject({ outcome: 'not-applied', sqlState: error });
  expect(db.getStats().commitsUnknown).toBe(0);
});

test.each(unknown)('ERROR %s in reply to COMMIT: its outcome is unknown', async (error) => {
  const { db, server } = await opened.database();
  server.reply(/^commit/, { error });
  const call = db.transaction((tx) => tx.query('select 1'));
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_COMMIT_UNKNOWN',
    outcome: 'unknown',
    phase: 'commit-sent',
    sqlState: error,
    retryable: false,
  });
});

test.each([...unknown, ...rolledBack])(
  'FATAL %s in reply to COMMIT: its outcome is unknown',
  async (error) => {
    const { db, server } = await opened.database();
    server.reply(/^commit/, { error, severity: 'FATAL' });
    const call = db.transaction((tx) => tx.query('select 1'));
    expect(await failureOf(call)).toMatchObject({
      code: 'DATABASE_COMMIT_UNKNOWN',
      sqlState: error,
    });
  },
);

test.each(['40003', '08007', '08006'])(
  'with resolveCommit the outcome of a COMMIT answered with %s is found by its marker',
  async (error) => {
    const { db, server } = await opened.database();
    let committed = true;
    server.reply(/^commit/, { error });
    server.reply(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
    server.reply(/^select committed/, () => ({ rows: [{ committed }] }));
    const write = (): Promise<unknown> =>
      db.transaction((tx) => tx.query('select 1'), { resolveCommit: true });
    expect(await write()).toMatchObject({ token: { timeline: 0 } });
    committed = false;
    expect(await failureOf(write())).toMatchObject({ outcome: 'not-applied' });
  },
);

test('a COMMIT that was confirmed is committed, whatever follows it', async () => {
  const { db, server } = await opened.database();
  server.reply(/^select pg_current_wal_insert_lsn/, { error: '57P01', severity: 'FATAL' });
  expect(await db.transaction(() => 'kept')).toMatchObject({ value: 'kept' });
});

test.each([
  ['08006', 'unknown'],
  ['40003', 'unknown'],
  ['08001', 'not-applied'],
  ['23505', 'not-applied'],
])('outside of a transaction ERROR %s has the outcome %s', async (error, outcome) => {
  const { db, server } = await opened.database();
  server.reply('insert into t', { error });
  expect(await failureOf(db.query('insert into t'))).toMatchObject({ outcome });
});

test.each<[string, FakeReply]>([
  ['lost', { command: 'ROLLBACK', cutAfterBytes: 0 }],
  ['ended by 57P01', { error: '57P01', severity: 'FATAL' }],
  ['not answered', 'never'],
])('a failed transaction whose COMMIT is %s is not applied', async (_, reply) => {
  const { db, server } = await opened.database();
  server.reply('bad', { error: '22012' });
  server.reply(/^commit/, reply);
  const work = (tx: Transaction): Promise<unknown> => tx.query('bad').catch(() => undefined);
  const failure = await failureOf(db.transaction(work, { timeoutMs: 500 }));
  expect(failure).toMatchObject({ outcome: 'not-applied' });
  expect(db.getStats().commitsUnknown).toBe(0);
});

test('a transaction whose conflict was caught, and whose COMMIT is lost, runs again', async () => {
  const { db, server } = await opened.database();
  server.reply('conflict', { command: 'UPDATE 1' });
  const stop = server.reply('conflict', { error: '40001' });
  server.reply(/^commit/, () => {
    const isFirst = statementsLike(server, /^commit/) === 1;
    if (isFirst) stop();
    return isFirst ? { command: 'ROLLBACK', cutAfterBytes: 0 } : undefined;
  });
  const work = (tx: Transaction): Promise<unknown> => tx.query('conflict').catch(() => undefined);
  await expect(db.transaction(work)).resolves.toBeDefined();
  expect(statementsLike(server, /^begin/)).toBe(2);
});

test('a read-only transaction with resolveCommit writes no marker, and succeeds', async () => {
  const { db, server } = await opened.database();
  server.reply(/^insert/, { error: '25006' });
  const options = { readOnly: true, resolveCommit: true };
  expect(await db.transaction(() => 1, options)).toMatchObject({ value: 1 });
  server.reply(/^commit/, { command: 'COMMIT', cutAfterBytes: 0 });
  expect(await failureOf(db.transaction(() => 1, options))).toMatchObject({
    code: 'DATABASE_COMMIT_UNKNOWN',
  });
});

test('a COMMIT without a reply at the deadline has an unknown outcome, and an abort keeps its own reason', async () => {
  const { db, server } = await opened.database();
  server.reply(/^commit/, 'never');
  const late = db.transaction((tx) => tx.query('select 1'), { timeoutMs: 300 });
  expect(await failureOf(late)).toMatchObject({
    code: 'DATABASE_COMMIT_UNKNOWN',
    outcome: 'unknown',
    phase: 'commit-sent',
  });
  const controller = new AbortController();
  const call = db.transaction((tx) => tx.query('select 1'), { signal: controller.signal });
  const failure = failureOf(call);
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql.startsWith('commit') });
  controller.abort('given up');
  expect(await failure).toBe('given up');
  expect(db.getStats().commitsUnknown).toBe(2);
});

test('a transaction whose time is over in its callback was sent, and is not applied', async () => {
  const { db } = await opened.database();
  const call = db.transaction(() => new Promise(() => undefined), { timeoutMs: 100 });
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_QUERY_TIMEOUT',
    outcome: 'not-applied',
    phase: 'sent',
  });
});
