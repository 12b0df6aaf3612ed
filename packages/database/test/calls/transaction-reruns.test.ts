import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { Transaction, TransactionOptions } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

interface Bench {
  readonly clock: FakeClock;
  /** How often the callback has run. */
  readonly runs: () => number;
  /** How often a pause before the next run has begun. */
  readonly pauses: () => number;
  readonly reruns: () => number;
  readonly begin: (options?: TransactionOptions) => Promise<unknown>;
}

/** A server that answers every update with a conflict, and no time but that of the clock. */
async function conflicting(drawn: number): Promise<Bench> {
  const clock = createFakeClock();
  let runs = 0;
  let pauses = 0;
  let isOpen = false;
  const random = (): number => {
    if (isOpen) pauses += 1;
    return drawn;
  };
  const { db, server } = await opened.database({ clock, random, transactionTimeoutMs: 60_000 });
  server.reply('update t', { error: '40001' });
  await db.query('select 1');
  return {
    clock,
    runs: () => runs,
    pauses: () => pauses,
    reruns: () => db.getStats().transactionRetries,
    begin(options) {
      isOpen = true;
      return failureOf(
        db.transaction((tx) => {
          runs += 1;
          return tx.query('update t');
        }, options),
      );
    },
  };
}

/** What a call resolves with, or rejects with. */
const endOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

test('the pause before a rerun doubles from 5 ms up to 500 ms, less by chance', async () => {
  const { clock, runs, pauses, begin } = await conflicting(1);
  const failure = begin({ maxRetries: 9 });
  for (const [at, pauseMs] of [5, 10, 20, 40, 80, 160, 320, 500, 500].entries()) {
    await until(() => pauses() === at + 1);
    await clock.advance(pauseMs - 1);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    expect(runs()).toBe(at + 1);
    await clock.advance(1);
  }
  expect(await failure).toMatchObject({ sqlState: '40001' });
  expect(runs()).toBe(10);
});

test('with no chance there is no pause', async () => {
  const { clock, runs, reruns, begin } = await conflicting(0);
  const startMs = clock.now();
  const failure = begin({ maxRetries: 3 });
  let isOver = false;
  void failure.then(() => (isOver = true));
  const over = (): boolean => isOver;
  while (!over()) await clock.advance(0);
  expect([runs(), reruns(), clock.now() - startMs]).toEqual([4, 3, 0]);
});

test.each([
  [5, 1],
  [6, 2],
])(
  'a pause of 5 ms that does not fit into a time of %i ms is not begun: runs %i',
  async (timeoutMs, wanted) => {
    const { clock, runs, pauses, reruns, begin } = await conflicting(1);
    const failure = begin({ timeoutMs });
    await until(() => pauses() === 1);
    // The second run begins at 5 ms; its own pause of 10 ms does not fit either.
    if (wanted === 2) await clock.advance(5);
    expect(await failure).toMatchObject({ sqlState: '40001' });
    expect([runs(), reruns()]).toEqual([wanted, wanted - 1]);
  },
);

test('an abort during the pause ends the transaction with its reason, and the callback does not run again', async () => {
  const { runs, pauses, begin } = await conflicting(1);
  const abort = new AbortController();
  const failure = begin({ signal: abort.signal });
  await until(() => pauses() === 1);
  abort.abort('enough');
  expect(await failure).toBe('enough');
  expect(runs()).toBe(1);
});

test.each([
  ['40001', true],
  ['40P01', true],
  ['23505', false],
])('a COMMIT refused with %s runs the callback again: %p', async (state, isAgain) => {
  const { db, server } = await opened.database();
  let refusals = 0;
  server.reply(/^commit/, () => {
    refusals += 1;
    return refusals === 1 ? { error: state } : { command: 'COMMIT' };
  });
  let runs = 0;
  const call = db.transaction(async (tx) => {
    runs += 1;
    await tx.query('select 1');
  });
  const refused = { sqlState: state, outcome: 'not-applied' };
  expect(await endOf(call)).toMatchObject(isAgain ? { token: {} } : refused);
  expect(runs).toBe(isAgain ? 2 : 1);
});

test.each([
  ['40001', true],
  ['23505', false],
])(
  'a COMMIT answered with ROLLBACK because of a swallowed %s runs the callback again: %p',
  async (state, isAgain) => {
    const { db, server } = await opened.database();
    server.reply('update t', { error: state });
    let runs = 0;
    const call = db.transaction(async (tx) => {
      runs += 1;
      if (runs === 1) await tx.query('update t').catch(() => undefined);
    });
    const rolledBack = { code: 'DATABASE_COMMIT_ROLLED_BACK' };
    expect(await endOf(call)).toMatchObject(isAgain ? { token: {} } : rolledBack);
    expect(runs).toBe(isAgain ? 2 : 1);
  },
);

test.each([undefined, true])(
  'with rerunOnLoss %p a COMMIT whose marker tells that nothing was kept is run again or reported so',
  async (rerunOnLoss) => {
    const { db, server } = await opened.database();
    server.reply(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
    server.reply(/^select committed/, { rows: [{ committed: false }] });
    let commits = 0;
    server.reply(/^commit/, () => {
      commits += 1;
      return commits === 1 ? { command: 'COMMIT', cutAfterBytes: 0 } : { command: 'COMMIT' };
    });
    let runs = 0;
    const work = (): number => (runs += 1);
    const options = { resolveCommit: true, ...(rerunOnLoss === undefined ? {} : { rerunOnLoss }) };
    const call = db.transaction(work, options);
    const end = await endOf(call);
    expect(end).toMatchObject(rerunOnLoss === true ? { value: 2 } : { outcome: 'not-applied' });
    expect(runs).toBe(rerunOnLoss === true ? 2 : 1);
  },
);

test.each([[[]], [[{ committed: 'yes' }]]])(
  'a marker that tells nothing (%j) leaves the outcome unknown',
  async (rows) => {
    const { db, server } = await opened.database();
    server.reply(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
    server.reply(/^select committed/, { rows });
    server.reply(/^commit/, { command: 'COMMIT', cutAfterBytes: 0 });
    const call = db.transaction(() => 1, { resolveCommit: true });
    expect(await failureOf(call)).toMatchObject({ code: 'DATABASE_COMMIT_UNKNOWN' });
    expect(db.getStats()).toMatchObject({ commitsResolved: 0, commitsUnknown: 1 });
  },
);

test('a failed transaction is rolled back before its caller is told, and once', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const mine = new Error('mine');
  const call = db.transaction(async (tx) => {
    await tx.query('select 1');
    throw mine;
  });
  expect(await failureOf(call)).toBe(mine);
  expect(statementsLike(server, /^rollback/)).toBe(1);
  await db.query('select 2');
  expect(server.statements()).toEqual(['begin', 'select 1', 'rollback', 'select 2']);
});

test('a BEGIN that the server refuses is the error of the transaction at once, and no callback runs', async () => {
  const { db, server } = await opened.database();
  server.reply(/^begin/, { error: '42501' });
  let runs = 0;
  const call = db.transaction(() => (runs += 1));
  expect(await failureOf(call)).toMatchObject({ code: 'DATABASE_QUERY_FAILED', sqlState: '42501' });
  expect([runs, statementsLike(server, /^begin/)]).toEqual([0, 1]);
});

test('a callback that waits for something else is given up when its connection is lost', async () => {
  const { db, server } = await opened.database();
  let signal: AbortSignal | undefined;
  const call = db.transaction(async (tx) => {
    ({ signal } = tx);
    await tx.query('select 1');
    server.drop();
    await new Promise(() => undefined);
  });
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    phase: 'sent',
    outcome: 'not-applied',
    retryable: true,
    message: expect.stringMatching(/ was lost \(.+\); the transaction was not committed/),
  });
  expect(signal?.aborted).toBe(true);
});

test('each transaction is counted once, however often its callback runs', async () => {
  const { db, server } = await opened.database();
  let left = 2;
  server.reply('update t', () => ((left -= 1) >= 0 ? { error: '40001' } : { command: 'UPDATE 1' }));
  await db.transaction((tx) => tx.query('update t'));
  await failureOf(db.transaction(() => Promise.reject(new Error('mine'))));
  expect(db.getStats()).toMatchObject({ transactions: 2, transactionRetries: 2 });
});

test('with resolveCommit the marker is the last statement before COMMIT, and without it there is none', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply(/^insert into holdfast_commit_marker/, { command: 'INSERT 0 1' });
  await db.transaction((tx) => tx.query('select 1'), { resolveCommit: true });
  await db.transaction((tx) => tx.query('select 2'));
  const seen = server.statements().filter((sql) => !sql.startsWith('select pg_'));
  expect(seen.map((sql) => sql.replace(/ .*/, ''))).toEqual([
    'begin',
    'select',
    'insert',
    'commit',
    'begin',
    'select',
    'commit',
  ]);
});

test('a transaction of a session whose server does not say where it is has sent nothing at its deadline', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock, transactionTimeoutMs: 300 });
  server.reply(/pg_backend_pid/, 'never');
  const session = db.session();
  session.observe({ timeline: 1, lsn: '0/1' });
  const failure = failureOf(session.transaction((tx) => tx.query('insert into t')));
  await until(() => statementsLike(server, /pg_backend_pid/) > 0);
  await clock.advance(300);
  expect(await failure).toMatchObject({
    code: 'DATABASE_QUERY_TIMEOUT',
    phase: 'not-sent',
    outcome: 'not-applied',
  });
  expect(statementsLike(server, /^begin|^insert/)).toBe(0);
});

test('a transaction that is over is never reported as leaked', async () => {
  const clock = createFakeClock();
  const { db } = await opened.database({ clock, leakReportMs: 1_000 });
  const leaks: unknown[] = [];
  db.on('leak', (leak) => leaks.push(leak));
  await db.transaction((tx) => tx.query('select 1'));
  await failureOf(db.transaction(() => Promise.reject(new Error('mine'))));
  await clock.advance(5_000);
  expect(leaks).toEqual([]);
});

test('what a callback sends after the deadline of its transaction is refused', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock });
  const started = Promise.withResolvers<void>();
  const late = Promise.withResolvers<unknown>();
  const work = async (tx: Transaction): Promise<void> => {
    started.resolve();
    await new Promise((resolve) => {
      tx.signal.addEventListener('abort', resolve, { once: true });
    });
    late.resolve(await failureOf(tx.query('delete from t')));
  };
  const failure = failureOf(db.transaction(work, { timeoutMs: 300 }));
  await started.promise;
  await clock.advance(300);
  expect(await failure).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT' });
  expect(await late.promise).toMatchObject({ code: 'DATABASE_TRANSACTION_ENDED' });
  expect(statementsLike(server, /^delete/)).toBe(0);
});
