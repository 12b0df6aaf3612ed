import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { createDatabase } from '../src/index.ts';
import { Opened, failureOf, statementsLike } from './open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

test('a query returns rows, and sends its values separately from its text', async () => {
  const { db, server } = await opened.database();
  server.reply('select name from users where id = $1', { rows: [{ name: 'Ada' }] });
  const { rows, rowCount } = await db.query('select name from users where id = $1', [7]);
  expect(rows).toEqual([{ name: 'Ada' }]);
  expect(rowCount).toBe(1);
});

test('a statement that the server rejects fails with its SQLSTATE, and the connection stays usable', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply('insert into t', { error: '23505' });
  expect(await failureOf(db.query('insert into t'))).toMatchObject({
    code: 'DATABASE_QUERY_FAILED',
    sqlState: '23505',
    outcome: 'not-applied',
    phase: 'sent',
    retryable: false,
  });
  await db.query('select 1');
  expect(server.sessions()).toHaveLength(1);
});

test('a query past its deadline is cancelled on the server, and its connection serves the next', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply('select slow()', 'never');
  await db.query('select 1');
  const cancelled = nextEvent(server, 'cancel');
  expect(await failureOf(db.query('select slow()', [], { timeoutMs: 150 }))).toMatchObject({
    code: 'DATABASE_QUERY_TIMEOUT',
    outcome: 'unknown',
    phase: 'sent',
  });
  expect(await cancelled).toEqual({ session: 1 });
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(server.sessions()).toHaveLength(1);
});

test('an aborted query rejects with the reason given, and is cancelled on the server', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply('select slow()', 'never');
  const abort = new AbortController();
  const call = failureOf(db.query('select slow()', [], { signal: abort.signal }));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select slow()' });
  const cancelled = nextEvent(server, 'cancel');
  abort.abort('no longer wanted');
  expect(await call).toBe('no longer wanted');
  await cancelled;
});

test('a query with an aborted signal is not sent', async () => {
  const { db, server } = await opened.database();
  const failure = failureOf(db.query('select 1', [], { signal: AbortSignal.abort('never mind') }));
  expect(await failure).toBe('never mind');
  expect(server.connectionsTotal).toBe(0);
});

test('a write whose connection was lost is not sent again, and its outcome is unknown', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply('insert into t', 'never');
  const call = failureOf(db.query('insert into t'));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'insert into t' });
  server.drop();
  expect(await call).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'unknown',
    phase: 'sent',
    retryable: false,
  });
  await db.query('select 1');
  expect(statementsLike(server, /^insert/)).toBe(1);
});

test('an idempotent call is sent once more after a lost connection, and no more than once', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const stop = server.reply('select v from t', 'never');
  const call = db.query('select v from t', [], { idempotent: true });
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select v from t' });
  stop();
  server.reply('select v from t', { rows: [{ v: 1 }] });
  server.drop();
  expect((await call).rows).toEqual([{ v: 1 }]);

  server.reply('select v from t', { rows: [{ v: 1 }], cutAfterBytes: 3 });
  expect(await failureOf(db.query('select v from t', [], { idempotent: true }))).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
  });
  expect(statementsLike(server, /^select v/)).toBe(4);
});

test('57P01 to all costs idempotent calls nothing', async () => {
  const { db, server } = await opened.database();
  await Promise.all([1, 2, 3, 4].map(() => db.query('select 1')));
  server.terminate();
  const calls = [1, 2, 3, 4, 5, 6].map(() => db.query('select 1', [], { idempotent: true }));
  expect(await Promise.all(calls)).toHaveLength(6);
});

test('callers wait while the server is down, and are served when it is back', async () => {
  const { db, server } = await opened.database();
  await db.query('select 1');
  const lost = nextEvent(db, 'lost');
  await server.stop();
  await lost;
  const calls = Array.from({ length: 10 }, () => db.query('select 1 as one'));
  await nextEvent(db, 'connect-failed');
  await server.start();
  expect(await Promise.all(calls)).toHaveLength(10);
});

test('callers wait for a server that is starting up (57P03)', async () => {
  const { db, server } = await opened.database();
  server.setBehavior({ reception: { error: '57P03' } });
  const call = db.query('select 1 as one');
  await nextEvent(db, 'connect-failed');
  server.setBehavior({ reception: 'serve' });
  expect((await call).rows).toEqual([{ one: 1 }]);
});

test('a wrong password rejects at once', async () => {
  const server = await createFakePostgres({ password: 'right' });
  opened.add(() => server.close());
  const url = new URL(server.url);
  url.password = 'wrong-and-secret';
  const db = createDatabase({ hosts: url.href });
  opened.add(() => db.close({ deadlineMs: 0 }));
  const failure = await failureOf(db.query('select 1'));
  expect(failure).toMatchObject({ code: 'DATABASE_CONNECT_REFUSED', outcome: 'not-applied' });
  expect(JSON.stringify(failure) + String(failure)).not.toContain('secret');
});

test('a password function is called for each connection', async () => {
  const server = await createFakePostgres({ password: 'of-today' });
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url, password: async () => 'of-today' });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a batch returns its results in order, sent at once on one connection', async () => {
  const { db, server } = await opened.database();
  const results = await db.batch([
    { text: 'select 1 as n' },
    { text: 'select $1::int as n', values: [2] },
    { text: 'select 3 as n' },
  ]);
  expect(results.map(({ rows }) => Number(rows[0]?.['n']))).toEqual([1, 2, 3]);
  expect(server.sessions()).toHaveLength(1);
});

test('a failed statement of a batch does not affect the others', async () => {
  const { db, server } = await opened.database();
  server.reply('insert into t', { error: '23505' });
  const call = db.batch([{ text: 'select 1' }, { text: 'insert into t' }, { text: 'select 3' }]);
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_BATCH_FAILED',
    sqlState: '23505',
    results: [
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'DATABASE_QUERY_FAILED' } },
      { status: 'fulfilled' },
    ],
  });
});

test('a lease sends one statement after the other, and is returned clean', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const lease = await db.acquire();
  await Promise.all([lease.query('begin'), lease.query('select 1'), lease.query('select 2')]);
  await lease[Symbol.asyncDispose]();
  await db.query('select 3');
  expect(server.statements()).toEqual(['begin', 'select 1', 'select 2', 'rollback', 'select 3']);
});

test('a released lease rejects further statements', async () => {
  const { db } = await opened.database();
  const lease = await db.acquire();
  lease.release();
  lease.release();
  expect(await failureOf(lease.query('select 1'))).toMatchObject({
    code: 'DATABASE_TRANSACTION_ENDED',
  });
});

test('a connection that is not released is reported with the stack that acquired it, and again if it is released after all', async () => {
  // Longer than the query takes, on a busy machine too.
  const { db } = await opened.database({ leakReportMs: 1_000 });
  const leaked = nextEvent(db, 'leak');
  const lease = await db.acquire();
  await lease.query('select 42');
  const leak = await leaked;
  expect(leak.lastSql).toBe('select 42');
  expect(leak.acquiredAt).toContain('database.test.ts');
  const returned = nextEvent(db, 'leak-returned');
  lease.release();
  await returned;
  expect(db.getStats().hosts[0]?.leaks).toBe(1);
});

test('end waits for calls under way, rejects new ones, and closes connections at its deadline', async () => {
  const { db, server } = await opened.database();
  server.reply('select slow()', 'never');
  const cut = failureOf(db.query('select slow()'));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select slow()' });
  const ended = db.close({ deadlineMs: 30 });
  expect(await failureOf(db.query('select 1'))).toMatchObject({ code: 'DATABASE_CLOSED' });
  expect(await cut).toMatchObject({ code: 'DATABASE_CLOSED', outcome: 'not-applied' });
  await ended;
  await db.close();
});

test('a later close with a shorter deadline shortens it, and one with a longer deadline does not lengthen it', async () => {
  const { db, server } = await opened.database();
  server.reply('select slow()', 'never');
  const cut = failureOf(db.query('select slow()'));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select slow()' });
  const first = db.close({ deadlineMs: 60_000 });
  const second = db.close({ deadlineMs: 30 });
  const third = db.close({ deadlineMs: 60_000 });
  await Promise.all([first, second, third]);
  expect(await cut).toMatchObject({ code: 'DATABASE_CLOSED' });
});

test('a database that was never used ends at once', async () => {
  const { db, server } = await opened.database();
  await db.close();
  expect(server.connectionsTotal).toBe(0);
});

test('with a ping before every lease, connections are reused and not opened anew', async () => {
  const { db, server } = await opened.database({ max: 1, validateAfterIdleMs: 0 });
  for (let round = 0; round < 3; round += 1) await db.query('select 1');
  expect(server.sessions()).toHaveLength(1);
  expect(statementsLike(server, /^$/)).toBeGreaterThanOrEqual(2);
});

test('an idle connection that dies without an error listener affects no call', async () => {
  const { db, server } = await opened.database();
  await db.query('select 1');
  const lost = nextEvent(db, 'lost');
  server.terminate();
  expect(await lost).toMatchObject({ leased: false });
  await db.query('select 1');
});
