import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { DatabaseError, type Transaction } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

test('a transaction commits and returns its position in the log', async () => {
  const { db, server } = await opened.database();
  server.setBehavior({ lsn: '0/3000028', timeline: 3 });
  server.reply('insert into t', { command: 'INSERT 0 1' });
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

test('a callback that throws rolls its transaction back, and its own error is passed on', async () => {
  const { db, server } = await opened.database();
  const mine = new TypeError('mine');
  expect(await failureOf(db.transaction(() => Promise.reject(mine)))).toBe(mine);
  expect(server.statements()).toEqual(['begin', 'rollback']);
});

test('COMMIT answered with ROLLBACK is an error', async () => {
  const { db, server } = await opened.database();
  server.reply('insert into t', { error: '23505' });
  const call = db.transaction(async (tx) => {
    await tx.query('insert into t').catch(() => undefined);
  });
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_COMMIT_ROLLED_BACK',
    outcome: 'not-applied',
  });
});

test('a serialization failure runs the callback again, within its budget', async () => {
  const { db, server } = await opened.database();
  let left = 2;
  server.reply('update t', () => {
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
  expect(await failureOf(call)).toMatchObject({ code: 'DATABASE_QUERY_FAILED', sqlState: '40001' });
});

test.each([0, 1, 2, 5])(
  'with maxRetries %i the callback runs once more than that',
  async (maxRetries) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ clock });
    server.reply('update t', { error: '40001' });
    let runs = 0;
    const call = db.transaction(
      (tx) => {
        runs += 1;
        return tx.query('update t');
      },
      { maxRetries },
    );
    const failure = failureOf(call);
    let isOver = false;
    void failure.then(() => (isOver = true));
    const over = (): boolean => isOver;
    while (!over()) await clock.advance(10);
    expect(await failure).toMatchObject({ sqlState: '40001' });
    expect(runs).toBe(maxRetries + 1);
    expect(db.getStats().transactionRetries).toBe(maxRetries);
  },
);

test('a connection lost before COMMIT means not applied, and the callback runs again only with rerunOnLoss', async () => {
  const { db, server } = await opened.database();
  server.reply('insert into t', 'never');
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
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'not-applied',
  });
  expect(runs).toBe(1);
  await db.transaction(work, { rerunOnLoss: true });
  expect(runs).toBe(3);
});

test('a connection lost between COMMIT and its reply is reported as unknown', async () => {
  const { db, server } = await opened.database();
  server.reply(/^commit/, { command: 'COMMIT', cutAfterBytes: 2 });
  expect(await failureOf(db.transaction(async (tx) => tx.query('select 1')))).toMatchObject({
    code: 'DATABASE_COMMIT_UNKNOWN',
    outcome: 'unknown',
    phase: 'commit-sent',
  });
  expect(db.getStats().commitsUnknown).toBe(1);
});

test('wherever the reply to COMMIT is cut, the reported outcome is right', async () => {
  const { db, server } = await opened.database({ reconnect: { initialDelayMs: 1, maxDelayMs: 1 } });
  // CommandComplete of COMMIT is 12 bytes: from there on the outcome is known.
  const answers: string[] = [];
  for (let bytes = 0; bytes <= 40; bytes += 1) {
    const stop = server.reply(/^commit/, { command: 'COMMIT', cutAfterBytes: bytes });
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
  expect(answers.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => 'DATABASE_COMMIT_UNKNOWN'));
  expect(new Set(answers.slice(12))).toEqual(new Set(['committed']));
});

test('with resolveCommit an unknown COMMIT is looked up by its marker row', async () => {
  const { db, server } = await opened.database();
  server.reply(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
  let isThere = true;
  server.reply(/^select committed from holdfast_commit_marker/, () => ({
    rows: [{ committed: isThere }],
  }));
  server.reply(/^commit/, { command: 'COMMIT', cutAfterBytes: 0 });
  const { value } = await db.transaction(() => 'done', { resolveCommit: true });
  expect(value).toBe('done');

  isThere = false;
  expect(await failureOf(db.transaction(() => 'done', { resolveCommit: true }))).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'not-applied',
  });
  expect(db.getStats()).toMatchObject({ commitsResolved: 2, commitsUnknown: 0 });
});

test('only a failed savepoint is rolled back', async () => {
  const { db, server } = await opened.database();
  server.reply('insert into t', { error: '23505' });
  const { value } = await db.transaction(async (tx) => {
    const inner = await tx
      .transaction(async (nested) => nested.query('insert into t'))
      .catch(() => 'undone');
    await tx.query('select 1');
    return inner;
  });
  expect(value).toBe('undone');
  expect(statementsLike(server, /^rollback to savepoint/)).toBe(1);
  expect(statementsLike(server, /^commit/)).toBe(1);
});

test('a call to the pool inside a transaction is rejected at once, instead of a deadlock', async () => {
  const { db } = await opened.database({ max: 1 });
  const asks: ((tx: Transaction) => Promise<unknown>)[] = [
    () => db.query('select 1'),
    () => db.transaction(() => 1),
    () => db.acquire(),
    () => db.batch([{ text: 'select 1' }]),
    () => db.read('any', (reader) => reader.query('select 1')),
    () => db.session().query('select 1'),
  ];
  for (const ask of asks) {
    expect(await failureOf(db.transaction(ask))).toMatchObject({ code: 'DATABASE_NESTED_ACQUIRE' });
  }
  await db.transaction(async (tx) => tx.query('select 1'));
});

test('what a callback has begun may call the pool once its transaction is over', async () => {
  const { db } = await opened.database({ max: 1 });
  let continued = <T>(work: () => T): T => work();
  await db.transaction(() => {
    continued = AsyncLocalStorage.snapshot();
  });
  expect(await continued(() => db.query('select 1'))).toMatchObject({ rowCount: 1 });
  await failureOf(
    db.transaction(() => {
      continued = AsyncLocalStorage.snapshot();
      throw new Error('mine');
    }),
  );
  expect(await continued(() => db.query('select 1'))).toMatchObject({ rowCount: 1 });
});

test('a handle used after the end of its transaction sends nothing', async () => {
  const { db, server } = await opened.database();
  let escaped: Transaction | undefined;
  await db.transaction((tx) => {
    escaped = tx;
  });
  const before = server.statements().length;
  expect(await failureOf(escaped?.query('delete from t') ?? Promise.resolve())).toMatchObject({
    code: 'DATABASE_TRANSACTION_ENDED',
    outcome: 'not-applied',
  });
  expect(server.statements()).toHaveLength(before);
});

test('a transaction ends at its deadline although its callback does not', async () => {
  const { db, server } = await opened.database({ max: 1 });
  await db.query('select 1');
  const call = db.transaction(
    (tx) =>
      new Promise<void>((resolve) => {
        tx.signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    { timeoutMs: 150 },
  );
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_QUERY_TIMEOUT',
    outcome: 'not-applied',
  });
  await db.query('select 1');
  expect(server.statements()).toContain('rollback');
});

test('statements of a dead transaction run nowhere else', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const call = db.transaction(async (tx) => {
    await tx.query('select 1');
    const lost = nextEvent(db, 'lost');
    server.drop();
    await lost;
    await tx.query('delete from t');
  });
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'not-applied',
  });
  await db.query('select 1');
  expect(statementsLike(server, /^delete/)).toBe(0);
});
