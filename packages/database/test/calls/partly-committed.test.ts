import { afterEach, describe, expect, test } from '@jest/globals';
import type { FakePostgres, FakeReply } from '@holdfast/emulators/postgres';
import { BatchFailedError, type Database } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const A = "insert into w values ('a')";
const NO = "insert into w values ('no')";
const CREATE = 'create index concurrently i on w (a)';

/** Every way to send one text; each rejects with the error of that text. */
const calls: readonly (readonly [string, (db: Database, text: string) => Promise<unknown>])[] = [
  ['query', (db, text) => db.query(text)],
  ['session', (db, text) => db.session().query(text)],
  ['lease', onLease],
  ['batch', (db, text) => db.batch([{ text }]).catch(firstReason)],
  [
    'batch after others',
    (db, text) => db.batch([{ text: 'select 1' }, { text }]).catch(lastReason),
  ],
];

async function onLease(db: Database, text: string): Promise<unknown> {
  const lease = await db.acquire();
  return lease.query(text).finally(() => lease.release());
}

function reasonsOf(error: unknown): unknown[] {
  if (!(error instanceof BatchFailedError)) throw error;
  return error.results.map((each) => (each.status === 'rejected' ? each.reason : undefined));
}

function firstReason(error: unknown): never {
  throw reasonsOf(error)[0];
}

function lastReason(error: unknown): never {
  throw reasonsOf(error).at(-1);
}

function script(server: FakePostgres, sqlState = '22012'): void {
  server.reply(/^insert into w values \('a'\)$/, { command: 'INSERT 0 1' });
  server.reply(/^insert into w values \('no'\)$/, { error: sqlState });
  server.reply(/^(?:\/\*.*\*\/ *)?(?:call|do|vacuum|reindex|create)\b/i, { error: sqlState });
}

const unknown = [
  `begin; ${A}; commit; ${NO}`,
  `${A}; commit; ${NO}`,
  `${A}; end; ${NO}`,
  `begin; ${A}; commit and chain; ${NO}`,
  `begin; ${A}; commit; begin; ${NO}`,
  `begin; ${A}; prepare transaction 'x'; ${NO}`,
  'call p()',
  '/* why */ CALL p(1)',
  'do $$ begin commit; perform 1/0; end $$',
  'vacuum w',
  'reindex table w',
  CREATE,
];

const notApplied = [
  NO,
  `${A}; ${NO}`,
  `begin; ${A}; ${NO}`,
  `begin; ${A}; rollback; ${NO}`,
  `${A}; rollback; ${NO}`,
  `begin; ${A}; savepoint s; ${NO}`,
  `begin; call_me; ${NO}`,
  `select 'commit; call p()'; ${NO}`,
];

describe.each(calls)('%s', (_, call) => {
  test.each(unknown)(
    '%j may have committed before its error: unknown, not retryable',
    async (text) => {
      const { db, server } = await opened.database();
      script(server);
      expect(await failureOf(call(db, text))).toMatchObject({
        code: 'DATABASE_QUERY_FAILED',
        sqlState: '22012',
        outcome: 'unknown',
        retryable: false,
      });
    },
  );

  test.each(notApplied)('%j has committed nothing: not applied', async (text) => {
    const { db, server } = await opened.database();
    script(server);
    server.reply('call_me', { command: 'SELECT 0' });
    expect(await failureOf(call(db, text))).toMatchObject({ outcome: 'not-applied' });
  });
});

test.each(['call p()', 'do $$ begin perform 1/0; end $$'])(
  '%j in an open transaction commits nothing: not applied',
  async (text) => {
    const { db, server } = await opened.database();
    script(server);
    const lease = await db.acquire();
    await lease.query('begin');
    expect(await failureOf(lease.query(text))).toMatchObject({ outcome: 'not-applied' });
    lease.release();
    expect(await failureOf(db.transaction((tx) => tx.query(text)))).toMatchObject({
      outcome: 'not-applied',
    });
  },
);

describe.each(calls.filter(([kind]) => ['query', 'session', 'batch'].includes(kind)))(
  'after 25006 a %s',
  (_, call) => {
    test.each([
      `${A}; commit; begin read only; ${NO}`,
      'call p()',
      'do $$ begin commit; perform 1; end $$',
    ])('with %j is not sent again: it may have committed', async (text) => {
      const { db, server } = await opened.database();
      script(server, '25006');
      expect(await failureOf(call(db, text))).toMatchObject({
        sqlState: '25006',
        outcome: 'unknown',
        retryable: false,
      });
      expect(statementsLike(server, /'a'|call|do/)).toBe(1);
    });

    test.each([NO, `${A}; ${NO}`, `begin; ${A}; ${NO}; commit`, 'update w set a = 1'])(
      'with %j is sent again to the server that accepts it',
      async (text) => {
        const { db, server } = await opened.database();
        script(server);
        let refusals = 0;
        const reply = () => ((refusals += 1) > 1 ? { command: 'INSERT 0 1' } : { error: '25006' });
        server.reply(/'no'|^update/, reply);
        await expect(call(db, text)).resolves.toBeDefined();
        expect(refusals).toBe(2);
      },
    );
  },
);

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['query', (db) => db.query('call p()', [], { idempotent: true })],
  ['batch', (db) => db.batch([{ text: 'call p()' }], { idempotent: true })],
])('an idempotent %s that may have committed is sent again after 25006', async (_, call) => {
  const { db, server } = await opened.database();
  let refusals = 0;
  server.reply('call p()', () => ((refusals += 1) > 1 ? { command: 'CALL' } : { error: '25006' }));
  await expect(call(db)).resolves.toBeDefined();
  expect(refusals).toBe(2);
});

test('an idempotent call that may have committed, and is refused when sent again, is unknown', async () => {
  const { db, server } = await opened.database();
  let refusals = 0;
  server.reply(/'no'/, () => ({ error: (refusals += 1) > 1 ? '23505' : '25006' }));
  script(server);
  server.reply(/'no'/, () => ({ error: (refusals += 1) > 1 ? '23505' : '25006' }));
  const text = `${A}; commit; begin read only; ${NO}`;
  expect(await failureOf(db.query(text, [], { idempotent: true }))).toMatchObject({
    sqlState: '23505',
    outcome: 'unknown',
  });
});

interface Summary {
  readonly outcome: string;
  readonly results: readonly string[];
}

async function summaryOf(call: Promise<unknown>): Promise<Summary> {
  const error = await failureOf(call);
  if (!(error instanceof BatchFailedError)) throw error;
  const results = error.results.map((each) => {
    if (each.status === 'fulfilled') return 'fulfilled';
    const { code, outcome }: { code: string; outcome: string } = each.reason;
    return `${code.replace('DATABASE_', '')} ${outcome}`;
  });
  return { outcome: error.outcome, results };
}

const CONTROL = 'TRANSACTION_CONTROL not-applied';
const UNKNOWN = 'TRANSACTION_CONTROL unknown';
const FAILED = 'QUERY_FAILED not-applied';

test.each<[string, readonly string[], Summary]>([
  [
    'left open after a statement',
    [A, 'begin', A],
    { outcome: 'applied', results: ['fulfilled', CONTROL, CONTROL] },
  ],
  ['left open', ['begin', A], { outcome: 'not-applied', results: [CONTROL, CONTROL] }],
  [
    'committed, and another left open',
    ['begin', A, 'commit', 'begin', A],
    { outcome: 'applied', results: ['fulfilled', 'fulfilled', 'fulfilled', CONTROL, CONTROL] },
  ],
  [
    'failed and left open',
    [A, 'begin', A, NO],
    { outcome: 'applied', results: ['fulfilled', CONTROL, CONTROL, FAILED] },
  ],
  [
    'failed before its commit',
    ['begin', A, NO, 'commit'],
    { outcome: 'not-applied', results: [CONTROL, CONTROL, FAILED, CONTROL] },
  ],
  [
    'failed, and a statement after it',
    ['begin', A, NO, 'commit', A],
    { outcome: 'applied', results: [CONTROL, CONTROL, FAILED, CONTROL, 'fulfilled'] },
  ],
  [
    'committed inside a text, and left open by it',
    [`${A}; commit; begin`, A],
    { outcome: 'unknown', results: [UNKNOWN, CONTROL] },
  ],
  [
    'committed by a text that begins another, left open',
    ['begin', A, 'commit and chain', A],
    { outcome: 'unknown', results: ['fulfilled', 'fulfilled', UNKNOWN, CONTROL] },
  ],
  [
    'committed by a text that writes and begins another, left open',
    [`begin; ${A}`, `end; ${A}; begin`],
    { outcome: 'unknown', results: ['fulfilled', UNKNOWN] },
  ],
  [
    'committed by a text that fails in the next one',
    ['begin', A, `commit; begin; ${NO}`],
    { outcome: 'unknown', results: ['fulfilled', 'fulfilled', 'QUERY_FAILED unknown'] },
  ],
  [
    'failed before its chained commit, and the next one committed',
    ['begin', A, NO, 'commit and chain', A, 'commit'],
    {
      outcome: 'applied',
      results: [CONTROL, CONTROL, FAILED, CONTROL, 'fulfilled', 'fulfilled'],
    },
  ],
  [
    'failed before the text that ends it and begins another',
    ['begin', A, NO, 'commit; begin', A, 'commit'],
    {
      outcome: 'applied',
      results: [CONTROL, CONTROL, FAILED, CONTROL, 'fulfilled', 'fulfilled'],
    },
  ],
  [
    'committed after a text that failed behind its own savepoint',
    ['begin', `${A}; savepoint s; ${NO}`, 'rollback to s', 'commit'],
    {
      outcome: 'unknown',
      results: ['fulfilled', 'QUERY_FAILED unknown', 'fulfilled', 'fulfilled'],
    },
  ],
])('a batch with a transaction that is %s tells the result of each', async (_, texts, expected) => {
  const { db, server } = await opened.database({ max: 1 });
  script(server);
  expect(await summaryOf(db.batch(texts.map((text) => ({ text }))))).toEqual(expected);
  await db.query('select 1');
});

test('an answer that no parser took, in a transaction that a batch has left open, is not applied', async () => {
  const { db, server } = await opened.database();
  server.reply('select v', { rows: [{ v: 1 }] });
  const parse = (): never => {
    throw new Error('no');
  };
  const types = { getTypeParser: () => parse };
  const left = await summaryOf(db.batch([{ text: 'begin' }, { text: 'select v', types }]));
  expect(left).toEqual({ outcome: 'not-applied', results: [CONTROL, CONTROL] });
});

test('a batch whose transaction is committed is no error', async () => {
  const { db, server } = await opened.database();
  script(server);
  const batch = ['begin', A, 'commit', A].map((text) => ({ text }));
  expect(await db.batch(batch)).toHaveLength(4);
});

test('a batch whose transaction failed when it was sent again may have been committed at first', async () => {
  const { db, server } = await opened.database();
  let sendings = 0;
  server.reply(/'a'/, { command: 'INSERT 0 1' });
  server.reply(/'no'/, () => {
    sendings += 1;
    return sendings > 1 ? { error: '23505' } : { command: 'INSERT 0 1' };
  });
  server.reply('commit', () =>
    sendings > 1 ? undefined : { command: 'COMMIT', cutAfterBytes: 0 },
  );
  const batch = ['begin', A, NO, 'commit'].map((text) => ({ text }));
  const summary = await summaryOf(db.batch(batch, { idempotent: true }));
  expect(summary).toMatchObject({ outcome: 'unknown' });
  expect(summary.results.join()).not.toContain('not-applied');
});

test.each<[string, FakeReply, string]>([
  ['lost', { command: 'COMMIT', cutAfterBytes: 0 }, 'CONNECTION_LOST unknown'],
  ['not answered in time', 'never', 'QUERY_TIMEOUT unknown'],
])('a batch whose commit is %s does not know of its transaction', async (_, reply, seen) => {
  const { db, server } = await opened.database();
  script(server);
  server.reply('commit', reply);
  const batch = [A, 'begin', A, 'commit', 'select 1'].map((text) => ({ text }));
  expect(await summaryOf(db.batch(batch, { timeoutMs: 1_000 }))).toEqual({
    outcome: 'unknown',
    results: ['fulfilled', seen, seen, seen, seen],
  });
});
