import { afterEach, expect, test } from '@jest/globals';
import type { Database } from '../../src/index.ts';
import { Pool } from '../../src/pg.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const SQL = 'select $1::int + $2::int';
const MISMATCH = {
  error: '08P01',
  message: 'bind message supplies 1 parameters, but prepared statement "" requires 2',
};
const idempotent = { idempotent: true };

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['a query', (db) => db.query(SQL, [1])],
  ['an idempotent query', (db) => db.query(SQL, [1], idempotent)],
  ['a transaction', (db) => db.transaction((tx) => tx.query(SQL, [1]))],
  ['a read', (db) => db.read('any', (reader) => reader.query(SQL, [1]))],
  ['a query of a session', (db) => db.session().query(SQL, [1], idempotent)],
  ['a read of a session', (db) => db.session().read((reader) => reader.query(SQL, [1]))],
])(
  '%s with too few values is its own fault: not sent again, not applied, no outage',
  async (_, call) => {
    const { db, server } = await opened.database({ max: 1 });
    server.reply(SQL, MISMATCH);
    expect(await failureOf(call(db))).toMatchObject({
      code: 'DATABASE_QUERY_FAILED',
      sqlState: '08P01',
      outcome: 'not-applied',
      retryable: false,
      message: expect.stringContaining('supplies 1 parameters'),
    });
    expect(statementsLike(server, /::int/)).toBe(1);
    await db.query('select 1');
    expect(server.sessions()).toHaveLength(1);
    expect(db.health().level).toBe('healthy');
    expect(db.getStats()).toMatchObject({ replays: 0, hosts: [{ lost: 0 }] });
  },
);

test('in a batch only the statement with too few values fails', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply(SQL, MISMATCH);
  const batch = [{ text: 'select 1' }, { text: SQL, values: [1] }, { text: 'select 2' }];
  expect(await failureOf(db.batch(batch, idempotent))).toMatchObject({
    code: 'DATABASE_BATCH_FAILED',
    sqlState: '08P01',
    outcome: 'applied',
    results: [
      { status: 'fulfilled' },
      { status: 'rejected', reason: { outcome: 'not-applied', retryable: false } },
      { status: 'fulfilled' },
    ],
  });
  expect(statementsLike(server, /::int/)).toBe(1);
});

test('a pool of pg keeps the client of a query with too few values', async () => {
  const { server } = await opened.database();
  server.reply(SQL, MISMATCH);
  const pool = new Pool({ connectionString: server.url, max: 1 });
  opened.add(() => pool.end());
  expect(await failureOf(pool.query(SQL, [1]))).toMatchObject({ code: '08P01' });
  await pool.query('select 1');
  expect(server.sessions()).toHaveLength(1);
});
