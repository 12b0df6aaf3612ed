import { afterEach, expect, test } from '@jest/globals';
import { Opened, failureOf } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

test('a name in use is refused for another text, and goes on serving its own', async () => {
  const { db, server } = await opened.database({ max: 1 });
  await db.query({ name: 'answer', text: 'select 1 as one' });
  expect(await failureOf(db.query({ name: 'answer', text: 'select 2' }))).toMatchObject({
    code: 'DATABASE_QUERY_FAILED',
    outcome: 'not-applied',
  });
  await db.query({ name: 'answer', text: 'select 1 as one' });
  expect(server.sessions()).toHaveLength(1);
});

test.each([
  ['26000', 'was deallocated'],
  ['0A000', 'has other columns now'],
])('%s of a named statement, which %s, costs one call and one connection', async (error) => {
  const { db, server } = await opened.database({ max: 1 });
  const named = { name: 'answer', text: 'select a from t' };
  const stop = server.reply(named.text, { error });
  expect(await failureOf(db.query(named))).toMatchObject({ sqlState: error });
  stop();
  server.reply(named.text, { rows: [{ a: 1 }] });
  expect((await db.query(named)).rows).toEqual([{ a: 1 }]);
  expect(server.sessions()).toHaveLength(2);
});

test.each(['deallocate all', 'discard all'])(
  'after %j a name may mean another statement',
  async (sql) => {
    const { db, server } = await opened.database({ max: 1 });
    await db.query({ name: 'answer', text: 'select 1 as one' });
    server.reply('deallocate all', { command: 'DEALLOCATE ALL' });
    await db.query(sql);
    expect((await db.query({ name: 'answer', text: 'select 2 as two' })).rows).toEqual([
      { two: 2 },
    ]);
    expect(server.sessions()).toHaveLength(1);
  },
);

test('after DEALLOCATE of one name the connection is not used again', async () => {
  const { db, server } = await opened.database({ max: 1 });
  await db.query('deallocate answer');
  await db.query('select 1');
  expect(server.sessions()).toHaveLength(2);
});

test.each([false, true])(
  'with resetOnRelease %s, a lease and a transaction are reset, or not',
  async (resetOnRelease) => {
    const { db, server } = await opened.database({ max: 1, resetOnRelease });
    const lease = await db.acquire();
    await lease.query("set search_path = 'mine'");
    lease.release();
    await db.transaction((tx) => tx.query('select 1'));
    await db.query('select 2');
    await db.query('select 3');
    const resets = server.statements().filter((sql) => sql === 'discard all').length;
    expect(resets).toBe(resetOnRelease ? 2 : 0);
    expect(server.sessions()).toHaveLength(1);
  },
);

test('a reset comes after the rollback of an open transaction, and a failed one closes the connection', async () => {
  const { db, server } = await opened.database({ max: 1, resetOnRelease: true });
  const lease = await db.acquire();
  await lease.query('begin');
  server.reply('discard all', { error: '42501' });
  lease.release();
  await db.query('select 2');
  expect(server.statements()).toEqual(['begin', 'rollback', 'discard all', 'select 2']);
  expect(server.sessions()).toHaveLength(2);
});
