import { afterEach, expect, test } from '@jest/globals';
import { types as pgTypes } from 'pg';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { Pool } from '../../src/pg.ts';
import type { Database, Statement } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const INSERT = 'insert into t values (1) returning v';
const BOOM = new Error('parser boom');
const throws = (): never => {
  throw BOOM;
};

const throwing = { getTypeParser: () => throws };
const withoutParser = { getTypeParser: throws };

/** What the server has applied is never said not to be. */
const APPLIED = {
  code: 'DATABASE_QUERY_FAILED',
  phase: 'sent',
  outcome: 'applied',
  retryable: false,
  cause: BOOM,
  message: expect.stringMatching(
    /executed the statement, but its answer could not be parsed: parser boom/,
  ),
};

async function open(): ReturnType<Opened['database']> {
  const made = await opened.database({ max: 1 });
  made.server.reply(INSERT, { rows: [{ v: 1 }, { v: 2 }], command: 'INSERT 0 2' });
  made.server.reply('select v', { rows: [{ v: 1 }] });
  return made;
}

const calls: [string, (db: Database, statement: Statement) => Promise<unknown>][] = [
  ['query', (db, statement) => db.query(statement)],
  ['idempotent query', (db, statement) => db.query(statement, undefined, { idempotent: true })],
  ['named statement', (db, statement) => db.query({ ...statement, name: 'named' })],
  ['query with a value', (db, statement) => db.query({ ...statement, values: [1] })],
  ['query of arrays', (db, statement) => db.query({ ...statement, rowMode: 'array' })],
  [
    'leased connection',
    async (db, statement) => {
      const lease = await db.acquire();
      return lease.query(statement).finally(() => lease.release());
    },
  ],
];

for (const [kind, types] of [
  ['a parser', throwing],
  ['the choice of a parser', withoutParser],
] as const) {
  test.each(calls)(`${kind} that throws leaves the statement of a %s applied`, async (_, call) => {
    const { db, server } = await open();
    const error = await failureOf(call(db, { text: INSERT, types }));
    expect(error).toMatchObject(APPLIED);
    expect(statementsLike(server, /^insert/)).toBe(1);
    expect((await db.query('select v')).rows).toEqual([{ v: 1 }]);
  });

  test(`${kind} that throws fails its own statement of a batch`, async () => {
    const { db } = await open();
    const batch = db.batch([{ text: 'select v' }, { text: INSERT, types }, { text: 'select v' }]);
    const error = await failureOf(batch);
    expect(error).toMatchObject({
      outcome: 'applied',
      results: [
        { status: 'fulfilled', value: { rows: [{ v: 1 }] } },
        { status: 'rejected', reason: APPLIED },
        { status: 'fulfilled', value: { rows: [{ v: 1 }] } },
      ],
    });
    expect(await failureOf(db.batch([{ text: INSERT, types }]))).toMatchObject({
      outcome: 'applied',
    });
  });

  test(`${kind} that throws in a transaction may be caught, or rolls it back`, async () => {
    const { db, server } = await open();
    let caught: unknown;
    await db.transaction(async (tx) => {
      caught = await failureOf(tx.query({ text: INSERT, types }));
    });
    expect(caught).toMatchObject(APPLIED);
    expect(statementsLike(server, /^commit/)).toBe(1);
    const rolledBack = await failureOf(db.transaction((tx) => tx.query({ text: INSERT, types })));
    expect(rolledBack).toMatchObject({
      code: 'DATABASE_QUERY_FAILED',
      outcome: 'not-applied',
      retryable: false,
      cause: BOOM,
      message: expect.stringMatching(
        /could not be parsed: parser boom; the transaction was rolled back/,
      ),
    });
    expect(statementsLike(server, /^rollback/)).toBe(1);
  });

  test(`${kind} that throws before the server refuses the statement does not hide the refusal`, async () => {
    const { db, server } = await open();
    server.reply('select bad', { error: '22012', message: 'division by zero' });
    const error = await failureOf(db.query({ text: 'select v; select bad', types }));
    expect(error).toMatchObject({ outcome: 'not-applied', sqlState: '22012' });
  });
}

test('a global parser that throws leaves the statement applied', async () => {
  const { db } = await open();
  const { INT4 } = pgTypes.builtins;
  const before: (value: string) => unknown = pgTypes.getTypeParser(INT4, 'text');
  pgTypes.setTypeParser(INT4, throws);
  try {
    expect(await failureOf(db.query(INSERT))).toMatchObject(APPLIED);
    expect(await failureOf(db.session().query(INSERT))).toMatchObject(APPLIED);
  } finally {
    pgTypes.setTypeParser(INT4, before);
  }
  expect((await db.query('select v')).rows).toEqual([{ v: 1 }]);
});

test('a value that has no text is not sent, and is not said to be sent', async () => {
  const { db } = await open();
  const values = [{ toPostgres: throws }];
  const unsent = { phase: 'not-sent', outcome: 'not-applied', cause: BOOM };
  expect(await failureOf(db.query(INSERT, values))).toMatchObject(unsent);
  expect(await failureOf(db.session().query(INSERT, values))).toMatchObject(unsent);
});

test("the choice of a parser that throws rejects a query of pg's pool", async () => {
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  server.reply('select v', { rows: [{ v: 1 }] });
  const pool = new Pool({ connectionString: server.url, max: 1 });
  opened.add(() => pool.end());
  const failed = pool.query({ text: 'select v', types: withoutParser });
  expect(await failureOf(failed)).toBe(BOOM);
  expect((await pool.query('select v')).rows).toEqual([{ v: 1 }]);
});

const NEVER_AN_ERROR: unknown[] = [undefined, null, false, 0, '', 0n];

test.each(NEVER_AN_ERROR)(
  'a parser that throws %p is no success without its rows',
  async (thrown) => {
    const { db, server } = await open();
    const parse = (): never => {
      throw thrown;
    };
    for (const types of [{ getTypeParser: () => parse }, { getTypeParser: parse }]) {
      const unparsed = { ...APPLIED, cause: expect.any(TypeError), message: expect.anything() };
      for (const [, call] of calls) {
        expect(await failureOf(call(db, { text: INSERT, types }))).toMatchObject(unparsed);
      }
      const batch = db.batch([{ text: 'select v' }, { text: INSERT, types }]);
      expect(await failureOf(batch)).toMatchObject({
        results: [{ status: 'fulfilled' }, { status: 'rejected', reason: unparsed }],
      });
      const transaction = db.transaction((tx) => tx.query({ text: INSERT, types }));
      expect(await failureOf(transaction)).toMatchObject({ outcome: 'not-applied' });
      const { url } = server;
      const pool = new Pool({ connectionString: url, max: 1 });
      expect(await failureOf(pool.query({ text: INSERT, types }))).toBeInstanceOf(TypeError);
      await pool.end();
      expect((await db.query('select v')).rows).toEqual([{ v: 1 }]);
    }
  },
);
