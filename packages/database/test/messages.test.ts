import { afterEach, expect, test } from '@jest/globals';
import { AcquireTimeoutError, type Database, createDatabase } from '../src/index.ts';
import { Opened, failureOf } from './open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function messageOf(call: Promise<unknown>): Promise<string> {
  const error = await failureOf(call);
  return error instanceof Error ? error.message : '';
}

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['a query', (db) => db.query('rollback to x')],
  ['a transaction', (db) => db.transaction((tx) => tx.query('rollback to x'))],
  ['a session', (db) => db.session().query('rollback to x')],
  ['a lease', async (db) => (await db.acquire()).query('rollback to x')],
])('the SQLSTATE of a refused statement of %s is named once', async (_, call) => {
  const { db, server } = await opened.database();
  server.reply('rollback to x', { error: '3B001', message: 'savepoint "x" does not exist' });
  expect(await messageOf(call(db))).toBe(
    `${server.host}:${server.port} refused the statement: 3B001 savepoint "x" does not exist`,
  );
});

test('a parameter whose own conversion throws is not called a refusal of the server', async () => {
  const { db } = await opened.database();
  const toPostgres = (): never => {
    throw new Error('no text for it');
  };
  const error = await failureOf(db.query('select $1', [{ toPostgres }]));
  expect(error).toMatchObject({ code: 'DATABASE_QUERY_FAILED', outcome: 'not-applied' });
  expect(String(error)).toMatch(/the statement was not sent to \S+: no text for it$/);
  await db.query('select 1');
});

test('a circle is named with its position, and what JSON says of it', async () => {
  const { db } = await opened.database();
  const self: Record<string, unknown> = {};
  self['self'] = self;
  const batch = [{ text: 'select 1' }, { text: 'select $1, $2', values: [1, self] }];
  expect(await messageOf(db.batch(batch))).toMatch(
    /^batch of statements\[1\]: values\[1\] must be .*JSON can hold \(Converting circular structure to JSON\)/,
  );
});

test('objects are sent as the JSON that they were at the call, and what pg has a text for as it is', async () => {
  const { db, server } = await opened.database();
  const sent: unknown[] = [];
  server.reply('select all', ({ values }) => {
    sent.push(...values);
    return { command: 'SELECT' };
  });
  const changing = { a: 1 };
  const moment = new Date(0);
  const given = [changing, [{ b: 2 }, 'x'], moment, { toPostgres: () => 'own' }, 3n, null, [null]];
  const call = db.query('select all', given);
  changing.a = 2;
  await call;
  expect(sent).toEqual([
    '{"a":1}',
    '{"{\\"b\\":2}","x"}',
    expect.stringMatching(/^(?:1970|1969)-/),
    'own',
    '3',
    null,
    '{NULL}',
  ]);
  expect(given[0]).toBe(changing);
});

test.each([
  'postgres://app:hunter2@db.example:99999/shop',
  'postgres://app:hunter2@db.example:0/shop',
  'postgres://app:hunter2@[::1]:65536/shop?sslmode=disable',
  'postgres://db.example:99999',
])('the port of %s is what is refused, with its range', (hosts) => {
  const refusal = ((): unknown => {
    try {
      return createDatabase({ hosts });
    } catch (error) {
      return error;
    }
  })();
  expect(refusal).toMatchObject({ code: 'INVALID_OPTION', field: 'hosts' });
  expect(String(refusal)).toMatch(/hosts must be a URL whose port.* is from 1 to 65535/);
  expect(String(refusal)).not.toContain('hunter2');
});

test('a wait that is over names the timeout of the call, not the rest that it had left', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const lease = await db.acquire();
  const host = `${server.host}:${server.port}`;
  const advice = 'nothing was sent, call again later, or raise timeoutMs, acquireTimeoutMs or max';
  const message = await messageOf(db.query('select 1', [], { timeoutMs: 1 }));
  expect(message).toMatch(
    new RegExp(`^no connection to ${host} within the timeout of 1 ms \\(1 busy.*cap 1 of max 1\\)`),
  );
  expect(message.endsWith(advice)).toBe(true);
  expect(await messageOf(db.acquire({ timeoutMs: 20 }))).toContain('the timeout of 20 ms');
  lease.release();
});

test('of a call whose time was spent before, the message says how much was left', () => {
  const pool = {
    host: 'db:5432',
    max: 1,
    cap: 1,
    total: 1,
    idle: 0,
    busy: 1,
    connecting: 0,
    waiting: 1,
  };
  const { message } = new AcquireTimeoutError({ waitedMs: 1, timeoutMs: 2_000 }, pool);
  expect(message).toMatch(/within the timeout of 2000 ms .*; of its timeout 1 ms were left; /);
});
