import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/resilience';
import { type FakePostgres, createFakePostgres } from '../src/fake/testing.ts';
import {
  type Database,
  type DatabaseOptions,
  DatabaseError,
  type Transaction,
  createDatabase,
} from '../src/index.ts';

const opened: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function open(
  options: Partial<DatabaseOptions> = {},
): Promise<{ db: Database; server: FakePostgres }> {
  const server = await createFakePostgres({});
  opened.push(() => server.close());
  const db = createDatabase({ hosts: server.url, max: 4, ...options });
  opened.push(() => db.end({ deadlineMs: 0 }));
  return { db, server };
}

/** The error of a call that must fail. */
async function failureOf(call: Promise<unknown>): Promise<unknown> {
  const outcome = await call.then(
    () => ({ failed: false, error: undefined }),
    (error: unknown) => ({ failed: true, error }),
  );
  expect(outcome.failed).toBe(true);
  return outcome.error;
}

function count(server: FakePostgres, pattern: RegExp): number {
  return server.statements().filter((sql) => pattern.test(sql)).length;
}

test('a query gives rows, and its values are sent apart from its text', async () => {
  const { db, server } = await open();
  server.answer('select name from users where id = $1', { rows: [{ name: 'Ada' }] });
  const { rows, rowCount } = await db.query('select name from users where id = $1', [7]);
  expect(rows).toEqual([{ name: 'Ada' }]);
  expect(rowCount).toBe(1);
});

test('what the server refuses says so with its SQLSTATE, and the link goes on', async () => {
  const { db, server } = await open({ max: 1 });
  server.answer('insert into t', { error: '23505' });
  expect(await failureOf(db.query('insert into t'))).toMatchObject({
    code: 'QUERY_FAILED',
    sqlState: '23505',
    outcome: 'not-applied',
    phase: 'sent',
    retryable: false,
  });
  await db.query('select 1');
  expect(server.sessions()).toHaveLength(1);
});

test('a query past its deadline is cancelled on the server, and its link serves the next', async () => {
  const { db, server } = await open({ max: 1 });
  server.answer('select slow()', 'never');
  const cancelled = nextEvent(server, 'cancel');
  expect(await failureOf(db.query('select slow()', [], { timeoutMs: 30 }))).toMatchObject({
    code: 'QUERY_TIMEOUT',
    outcome: 'unknown',
    phase: 'sent',
  });
  expect(await cancelled).toEqual({ session: 1 });
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect(server.sessions()).toHaveLength(1);
});

test('an aborted query rejects with the reason given, and is cancelled on the server', async () => {
  const { db, server } = await open({ max: 1 });
  server.answer('select slow()', 'never');
  const abort = new AbortController();
  const call = failureOf(db.query('select slow()', [], { signal: abort.signal }));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select slow()' });
  const cancelled = nextEvent(server, 'cancel');
  abort.abort('no longer wanted');
  expect(await call).toBe('no longer wanted');
  await cancelled;
});

test('a query that was aborted before is not sent', async () => {
  const { db, server } = await open();
  const failure = failureOf(db.query('select 1', [], { signal: AbortSignal.abort('never mind') }));
  expect(await failure).toBe('never mind');
  expect(server.connectionsTotal).toBe(0);
});

test('a write whose link was lost is not sent again, and its outcome is unknown', async () => {
  const { db, server } = await open({ max: 1 });
  server.answer('insert into t', 'never');
  const call = failureOf(db.query('insert into t'));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'insert into t' });
  server.drop();
  expect(await call).toMatchObject({
    code: 'CONNECTION_LOST',
    outcome: 'unknown',
    phase: 'sent',
    retryable: false,
  });
  await db.query('select 1');
  expect(count(server, /^insert/)).toBe(1);
});

test('an idempotent call is sent once more after a lost link, and no more than once', async () => {
  const { db, server } = await open({ max: 1 });
  const stop = server.answer('select v from t', 'never');
  const call = db.query('select v from t', [], { idempotent: true });
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select v from t' });
  stop();
  server.answer('select v from t', { rows: [{ v: 1 }] });
  server.drop();
  expect((await call).rows).toEqual([{ v: 1 }]);

  server.answer('select v from t', { rows: [{ v: 1 }], cutAfterBytes: 3 });
  expect(await failureOf(db.query('select v from t', [], { idempotent: true }))).toMatchObject({
    code: 'CONNECTION_LOST',
  });
  expect(count(server, /^select v/)).toBe(4);
});

test('57P01 to all costs idempotent calls nothing', async () => {
  const { db, server } = await open();
  await Promise.all([1, 2, 3, 4].map(() => db.query('select 1')));
  server.terminate();
  const calls = [1, 2, 3, 4, 5, 6].map(() => db.query('select 1', [], { idempotent: true }));
  expect(await Promise.all(calls)).toHaveLength(6);
});

test('callers are held while the server is down, and served when it is back', async () => {
  const { db, server } = await open();
  await db.query('select 1');
  const lost = nextEvent(db, 'lost');
  await server.stop();
  await lost;
  const calls = Array.from({ length: 10 }, () => db.query('select 1 as one'));
  await nextEvent(db, 'connect-failed');
  await server.start();
  expect(await Promise.all(calls)).toHaveLength(10);
});

test('a server that is starting up (57P03) is waited for', async () => {
  const { db, server } = await open();
  server.behave({ reception: { error: '57P03' } });
  const call = db.query('select 1 as one');
  await nextEvent(db, 'connect-failed');
  server.behave({ reception: 'serve' });
  expect((await call).rows).toEqual([{ one: 1 }]);
});

test('a wrong password is told at once', async () => {
  const server = await createFakePostgres({ password: 'right' });
  opened.push(() => server.close());
  const url = new URL(server.url);
  url.password = 'wrong-and-secret';
  const db = createDatabase({ hosts: url.href });
  opened.push(() => db.end({ deadlineMs: 0 }));
  const failure = await failureOf(db.query('select 1'));
  expect(failure).toMatchObject({ code: 'CONNECT_REFUSED', outcome: 'not-applied' });
  expect(JSON.stringify(failure) + String(failure)).not.toContain('secret');
});

test('a password that is asked for is asked for at each link', async () => {
  const server = await createFakePostgres({ password: 'of-today' });
  opened.push(() => server.close());
  const db = createDatabase({ hosts: server.url, password: async () => 'of-today' });
  opened.push(() => db.end({ deadlineMs: 0 }));
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a transaction commits what it did and says where in the log', async () => {
  const { db, server } = await open();
  server.behave({ lsn: '0/3000028', timeline: 3 });
  server.answer('insert into t', { command: 'INSERT 0 1' });
  const { value, token } = await db.transaction(
    async (tx) => {
      await tx.query('insert into t');
      return tx.attempt;
    },
    { isolation: 'serializable' },
  );
  expect(value).toBe(1);
  expect(token).toEqual({ timeline: 3, lsn: '0/3000028' });
  expect(server.statements()[0]).toBe('begin isolation level serializable');
});

test('a callback that throws has its transaction rolled back, and its own error comes out', async () => {
  const { db, server } = await open();
  const mine = new TypeError('mine');
  expect(await failureOf(db.transaction(() => Promise.reject(mine)))).toBe(mine);
  expect(server.statements()).toEqual(['begin', 'rollback']);
});

test('COMMIT answered with ROLLBACK is an error', async () => {
  const { db, server } = await open();
  server.answer('insert into t', { error: '23505' });
  const call = db.transaction(async (tx) => {
    await tx.query('insert into t').catch(() => undefined);
  });
  expect(await failureOf(call)).toMatchObject({
    code: 'COMMIT_ROLLED_BACK',
    outcome: 'not-applied',
  });
});

test('a serialization failure runs the callback again, within its budget', async () => {
  const { db, server } = await open();
  let left = 2;
  server.answer('update t', () => {
    left -= 1;
    return left >= 0 ? { error: '40001' } : { command: 'UPDATE 1' };
  });
  const { value } = await db.transaction(async (tx) => {
    await tx.query('update t');
    return tx.attempt;
  });
  expect(value).toBe(3);
  expect(db.getStats().transactionRetries).toBe(2);

  left = 100;
  const call = db.transaction(async (tx) => tx.query('update t'), { maxRetries: 1 });
  expect(await failureOf(call)).toMatchObject({ code: 'QUERY_FAILED', sqlState: '40001' });
});

test('a link lost before COMMIT means not applied, and the callback is run again only if it may be', async () => {
  const { db, server } = await open();
  server.answer('insert into t', 'never');
  let runs = 0;
  const work = async (tx: Transaction): Promise<void> => {
    runs += 1;
    if (runs === 3) await tx.query('select 1');
    else await tx.query('insert into t');
  };
  server.on('statement', ({ sql }) => {
    if (sql === 'insert into t') server.drop();
  });
  expect(await failureOf(db.transaction(work))).toMatchObject({
    code: 'CONNECTION_LOST',
    outcome: 'not-applied',
  });
  expect(runs).toBe(1);
  await db.transaction(work, { rerunOnLoss: true });
  expect(runs).toBe(3);
});

test('a link lost between COMMIT and its answer is called unknown', async () => {
  const { db, server } = await open();
  server.answer(/^commit/, { command: 'COMMIT', cutAfterBytes: 2 });
  expect(await failureOf(db.transaction(async (tx) => tx.query('select 1')))).toMatchObject({
    code: 'COMMIT_UNKNOWN',
    outcome: 'unknown',
    phase: 'commit-sent',
  });
  expect(db.getStats().commitsUnknown).toBe(1);
});

test('wherever the answer to COMMIT is cut, what is said of it is right', async () => {
  const { db, server } = await open({ reconnect: { initialDelayMs: 1, maxDelayMs: 1 } });
  // CommandComplete of COMMIT is 12 bytes: from there on the answer is known.
  const answers: string[] = [];
  for (let bytes = 0; bytes <= 40; bytes += 1) {
    const stop = server.answer(/^commit/, { command: 'COMMIT', cutAfterBytes: bytes });
    answers.push(
      await db
        .transaction(async (tx) => tx.query('select 1'))
        .then(
          () => 'committed',
          (error: unknown) => (error instanceof DatabaseError ? error.code : String(error)),
        ),
    );
    stop();
  }
  expect(answers.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 'COMMIT_UNKNOWN'));
  expect(new Set(answers.slice(12))).toEqual(new Set(['committed']));
});

test('an unknown COMMIT is looked up by its marker row where that is asked for', async () => {
  const { db, server } = await open();
  server.answer(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
  let isThere = true;
  server.answer(/^select committed from holdfast_commit_marker/, () => ({
    rows: [{ committed: isThere }],
  }));
  server.answer(/^commit/, { command: 'COMMIT', cutAfterBytes: 0 });
  const { value } = await db.transaction(() => 'done', { resolveCommit: true });
  expect(value).toBe('done');

  isThere = false;
  expect(await failureOf(db.transaction(() => 'done', { resolveCommit: true }))).toMatchObject({
    code: 'CONNECTION_LOST',
    outcome: 'not-applied',
  });
  expect(db.getStats()).toMatchObject({ commitsResolved: 2, commitsUnknown: 0 });
});

test('a failed savepoint is undone alone', async () => {
  const { db, server } = await open();
  server.answer('insert into t', { error: '23505' });
  const { value } = await db.transaction(async (tx) => {
    const inner = await tx
      .transaction(async (nested) => nested.query('insert into t'))
      .catch(() => 'undone');
    await tx.query('select 1');
    return inner;
  });
  expect(value).toBe('undone');
  expect(count(server, /^rollback to savepoint/)).toBe(1);
  expect(count(server, /^commit/)).toBe(1);
});

test('asking the pool inside a transaction is refused at once instead of waiting for itself', async () => {
  const { db } = await open({ max: 1 });
  const asks: ((tx: Transaction) => Promise<unknown>)[] = [
    () => db.query('select 1'),
    () => db.transaction(() => 1),
    () => db.acquire(),
    () => db.batch([{ text: 'select 1' }]),
    () => db.read('any', (reader) => reader.query('select 1')),
    () => db.session().query('select 1'),
  ];
  for (const ask of asks) {
    expect(await failureOf(db.transaction(ask))).toMatchObject({ code: 'NESTED_ACQUIRE' });
  }
  await db.transaction(async (tx) => tx.query('select 1'));
});

test('a handle used after its transaction ended sends nothing', async () => {
  const { db, server } = await open();
  let escaped: Transaction | undefined;
  await db.transaction((tx) => {
    escaped = tx;
  });
  const before = server.statements().length;
  expect(await failureOf(escaped?.query('delete from t') ?? Promise.resolve())).toMatchObject({
    code: 'TRANSACTION_ENDED',
    outcome: 'not-applied',
  });
  expect(server.statements()).toHaveLength(before);
});

test('a transaction past its deadline ends although its callback does not', async () => {
  const { db, server } = await open({ max: 1 });
  const call = db.transaction(
    (tx) =>
      new Promise<void>((resolve) => {
        tx.signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    { timeoutMs: 30 },
  );
  expect(await failureOf(call)).toMatchObject({ code: 'QUERY_TIMEOUT', outcome: 'not-applied' });
  await db.query('select 1');
  expect(server.statements()).toContain('rollback');
});

test('statements of a dead transaction run nowhere else', async () => {
  const { db, server } = await open({ max: 1 });
  const call = db.transaction(async (tx) => {
    await tx.query('select 1');
    const lost = nextEvent(db, 'lost');
    server.drop();
    await lost;
    await tx.query('delete from t');
  });
  expect(await failureOf(call)).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'not-applied' });
  await db.query('select 1');
  expect(count(server, /^delete/)).toBe(0);
});

test('a batch gives its results in order, in one go on one link', async () => {
  const { db, server } = await open();
  const results = await db.batch([
    { text: 'select 1 as n' },
    { text: 'select $1::int as n', values: [2] },
    { text: 'select 3 as n' },
  ]);
  expect(results.map(({ rows }) => Number(rows[0]?.['n']))).toEqual([1, 2, 3]);
  expect(server.sessions()).toHaveLength(1);
});

test('a statement of a batch that fails leaves the others be', async () => {
  const { db, server } = await open();
  server.answer('insert into t', { error: '23505' });
  const call = db.batch([{ text: 'select 1' }, { text: 'insert into t' }, { text: 'select 3' }]);
  expect(await failureOf(call)).toMatchObject({
    code: 'BATCH_FAILED',
    sqlState: '23505',
    results: [
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'QUERY_FAILED' } },
      { status: 'fulfilled' },
    ],
  });
});

test('a lease sends one statement after the other, and goes back clean', async () => {
  const { db, server } = await open({ max: 1 });
  {
    await using lease = await db.acquire();
    await Promise.all([lease.query('begin'), lease.query('select 1'), lease.query('select 2')]);
  }
  await db.query('select 3');
  expect(server.statements()).toEqual(['begin', 'select 1', 'select 2', 'rollback', 'select 3']);
});

test('a released lease refuses further statements', async () => {
  const { db } = await open();
  const lease = await db.acquire();
  lease.release();
  lease.release();
  expect(await failureOf(lease.query('select 1'))).toMatchObject({ code: 'TRANSACTION_ENDED' });
});

test('a link that is not given back is reported with who took it, and when it comes back after all', async () => {
  const { db } = await open({ leakReportMs: 20 });
  const lease = await db.acquire();
  await lease.query('select 42');
  const leak = await nextEvent(db, 'leak');
  expect(leak.lastSql).toBe('select 42');
  expect(leak.acquiredAt).toContain('database.test.ts');
  const returned = nextEvent(db, 'leak-returned');
  lease.release();
  await returned;
  expect(db.getStats().hosts[0]?.leaks).toBe(1);
});

test('the end waits for what is under way, refuses what is new, and cuts at its deadline', async () => {
  const { db, server } = await open();
  server.answer('select slow()', 'never');
  const cut = failureOf(db.query('select slow()'));
  await nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'select slow()' });
  const ended = db.end({ deadlineMs: 30 });
  expect(await failureOf(db.query('select 1'))).toMatchObject({ code: 'DATABASE_CLOSED' });
  expect(await cut).toMatchObject({ code: 'DATABASE_CLOSED', outcome: 'unknown' });
  await ended;
  await db.end();
});

test('a database that was never used ends at once', async () => {
  const { db, server } = await open();
  await db.end();
  expect(server.connectionsTotal).toBe(0);
});

test('an idle link that dies with nobody listening harms nobody', async () => {
  const { db, server } = await open();
  await db.query('select 1');
  const lost = nextEvent(db, 'lost');
  server.terminate();
  expect(await lost).toMatchObject({ lent: false });
  await db.query('select 1');
});
