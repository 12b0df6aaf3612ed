import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const NOT_COMMITTED = {
  code: 'DATABASE_QUERY_TIMEOUT',
  phase: 'sent',
  outcome: 'not-applied',
  retryable: false,
};

test('a transaction whose callback does not finish says so, and that nothing was committed', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ max: 1, clock });
  const started = Promise.withResolvers<void>();
  const work = (): Promise<never> => {
    started.resolve();
    return new Promise(() => undefined);
  };
  const failure = failureOf(db.transaction(work, { timeoutMs: 300 }));
  await started.promise;
  const error = await clock.settle(failure);
  expect(error).toMatchObject({
    ...NOT_COMMITTED,
    message: `the callback of the transaction on ${new URL(server.url).host} did not finish within 300 ms; the transaction was not committed, and is rolled back`,
  });
  expect(statementsLike(server, /^commit/)).toBe(0);
});

test.each([
  ['of the transaction', { timeoutMs: 300 }, {}],
  ['of the statement', {}, { timeoutMs: 300 }],
])(
  'a statement past the deadline %s says that nothing was committed',
  async (_, ofTransaction, ofStatement) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ max: 1, clock });
    server.reply('insert', 'never');
    const statement = nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'insert' });
    const failure = failureOf(
      db.transaction((tx) => tx.query('insert', [], ofStatement), ofTransaction),
    );
    await statement;
    const error = await clock.settle(failure);
    expect(error).toMatchObject({
      ...NOT_COMMITTED,
      message: `no answer of ${new URL(server.url).host} within 300 ms; the transaction was not committed, and is rolled back`,
    });
    expect(statementsLike(server, /^commit/)).toBe(0);
  },
);

test('a statement outside of a transaction past its deadline may have taken effect', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ max: 1, clock });
  server.reply('insert', 'never');
  const statement = nextEvent(server, 'statement', { matches: ({ sql }) => sql === 'insert' });
  const failure = failureOf(db.query('insert', [], { timeoutMs: 300 }));
  await statement;
  expect(await clock.settle(failure)).toMatchObject({
    outcome: 'unknown',
    message: expect.stringMatching(/may have taken effect$/),
  });
});

test('a transaction aborted before COMMIT is sent is not said to be unknown', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const reason = new Error('enough');
  const failures: unknown[] = [];
  for (let turns = 0; turns < 12; turns += 1) {
    const abort = new AbortController();
    const work = async (): Promise<void> => {
      let turn = Promise.resolve();
      for (let at = 0; at < turns; at += 1) turn = turn.then(() => undefined);
      void turn.then(() => abort.abort(reason));
    };
    const call = db.transaction(work, { signal: abort.signal });
    failures.push(await call.catch((error: unknown) => error));
    await db.query('select 1');
  }
  expect(failures[0]).toBe(reason);
  // A later one may have been committed before.
  expect(failures.filter((error) => error instanceof Error && error !== reason)).toEqual([]);
  expect(db.getStats().commitsUnknown).toBeLessThanOrEqual(statementsLike(server, /^commit/));
});

test('a transaction whose callback catches the timeout of a statement is rolled back because of it', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply('slow', 'never');
  const call = db.transaction(async (tx) => {
    await tx.query('select 1');
    await tx.query('slow', [], { timeoutMs: 50 }).catch(() => undefined);
  });
  expect(await failureOf(call)).toMatchObject(NOT_COMMITTED);
  const later = db.transaction(async (tx) => {
    await tx.query('slow', [], { timeoutMs: 50 }).catch(() => undefined);
    await tx.query('select 1');
  });
  expect(await failureOf(later)).toMatchObject(NOT_COMMITTED);
  const nested = db.transaction((tx) =>
    tx.transaction((inner) => inner.query('slow', [], { timeoutMs: 50 }).catch(() => undefined)),
  );
  expect(await failureOf(nested)).toMatchObject(NOT_COMMITTED);
  const abort = new AbortController();
  const aborted = db.transaction(async (tx) => {
    const slow = tx.query('slow', [], { signal: abort.signal });
    abort.abort('enough');
    await slow.catch(() => undefined);
  });
  expect(await failureOf(aborted)).toBe('enough');
  await db.query('select 1');
  expect(statementsLike(server, /^commit/)).toBe(0);
});
