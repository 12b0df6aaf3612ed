import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import { type Database, createDatabase } from '../../src/index.ts';
import { Pool } from '../../src/pg.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const SLOW = 'select slow()';

function untilRunning(server: FakePostgres): Promise<unknown> {
  return nextEvent(server, 'statement', { matches: ({ sql }) => sql === SLOW });
}

const calls: readonly [string, (db: Database) => Promise<unknown>][] = [
  ['a query', (db) => db.query(SLOW)],
  ['an idempotent query', (db) => db.query(SLOW, [], { idempotent: true })],
  ['a transaction', (db) => db.transaction((tx) => tx.query(SLOW))],
  ['a read', (db) => db.read('any', (reader) => reader.query(SLOW))],
  ['a query of a session', (db) => db.session().query(SLOW)],
  ['a query of a lease', async (db) => (await db.acquire()).query(SLOW)],
];

test.each(calls)(
  'at the deadline of close %s is cancelled on the server, and its caller is told',
  async (_, call) => {
    const { db, server } = await opened.database();
    server.reply(SLOW, 'never');
    const failure = failureOf(call(db));
    await untilRunning(server);
    const cancelled = nextEvent(server, 'cancel');
    await db.close({ deadlineMs: 5 });
    await cancelled;
    expect(await failure).toMatchObject({
      code: 'DATABASE_CLOSED',
      outcome: 'not-applied',
      message: expect.stringContaining('the server has cancelled its statement'),
    });
    expect(db.getStats().hosts).toMatchObject([{ total: 0, cancels: 1 }]);
  },
);

test('each statement of a batch is cancelled, one after the other', async () => {
  const { db, server } = await opened.database();
  server.reply(SLOW, 'never');
  const batch = db.batch([{ text: SLOW }, { text: SLOW }, { text: SLOW }]);
  const failure = failureOf(batch);
  await untilRunning(server);
  await db.close({ deadlineMs: 5 });
  expect(await failure).toMatchObject({ code: 'DATABASE_BATCH_FAILED', outcome: 'not-applied' });
  expect(statementsLike(server, /slow/)).toBe(3);
});

test('a batch past its deadline keeps the results that it has, and is no loss of a connection', async () => {
  const { db, server } = await opened.database();
  server.reply(SLOW, 'never');
  server.reply('bad', { error: '22012' });
  const texts = ['select 1', 'bad', SLOW, SLOW];
  const options = { timeoutMs: 1_000, idempotent: true };
  const failure = failureOf(
    db.batch(
      texts.map((text) => ({ text })),
      options,
    ),
  );
  const late = {
    status: 'rejected',
    reason: { code: 'DATABASE_QUERY_TIMEOUT', outcome: 'unknown' },
  };
  expect(await failure).toMatchObject({
    code: 'DATABASE_BATCH_FAILED',
    outcome: 'unknown',
    retryable: false,
    results: [
      { status: 'fulfilled', value: { rowCount: 1 } },
      { status: 'rejected', reason: { code: 'DATABASE_QUERY_FAILED', outcome: 'not-applied' } },
      late,
      late,
    ],
  });
  expect(db.getStats().hosts).toMatchObject([{ lost: 0, total: 0, cancels: 1 }]);
});

test('a batch whose signal aborts rejects with its reason, and goes no further', async () => {
  const { db, server } = await opened.database();
  server.reply(SLOW, 'never');
  const abort = new AbortController();
  const batch = [{ text: 'select 1' }, { text: SLOW }];
  const failure = failureOf(db.batch(batch, { signal: abort.signal }));
  await untilRunning(server);
  abort.abort('enough');
  expect(await failure).toBe('enough');
  expect(db.getStats().hosts).toMatchObject([{ lost: 0, total: 0, cancels: 1 }]);
});

test('a query of a checked out client of the pg interface is cancelled at the deadline', async () => {
  const { server } = await opened.database();
  const pool = new Pool({ connectionString: server.url });
  opened.add(() => pool.holdfast.close({ deadlineMs: 0 }));
  server.reply(SLOW, 'never');
  const client = await pool.connect();
  client.on('error', () => undefined);
  const failure = failureOf(client.query(SLOW));
  await untilRunning(server);
  const cancelled = nextEvent(server, 'cancel');
  await pool.holdfast.close({ deadlineMs: 5 });
  expect(await cancelled).toEqual({ session: 1 });
  await failure;
  client.release();
});

test('a server that neither ends its statement nor takes the request holds close up for cancelGraceMs only', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock, cancelGraceMs: 300 });
  server.reply(SLOW, 'never');
  server.setBehavior({ cancels: false });
  const failure = failureOf(db.query(SLOW));
  await untilRunning(server);
  let closedMs: number | undefined;
  const closing = db.close({ deadlineMs: 1_000 }).then(() => (closedMs = clock.now()));
  const isOpen = (): boolean => closedMs === undefined;
  while (isOpen()) await clock.advance(5);
  await closing;
  expect(closedMs).toBeGreaterThanOrEqual(1_300);
  expect(closedMs).toBeLessThanOrEqual(1_320);
  expect(await failure).toMatchObject({ code: 'DATABASE_CLOSED', outcome: 'unknown' });
});

test('idle connections are closed without a request to cancel anything', async () => {
  const { db, server } = await opened.database();
  await Promise.all([db.query('select 1'), db.query('select 2')]);
  const { connectionsTotal } = server;
  await db.close({ deadlineMs: 0 });
  expect(server.connectionsTotal).toBe(connectionsTotal);
});

test('from the call of close on a database is critical, and asks no host any more', async () => {
  const servers = await Promise.all([0, 1].map(async () => createFakePostgres({})));
  for (const server of servers) opened.add(() => server.close());
  const urls = servers.map(({ url }) => url);
  for (const hosts of [urls.slice(0, 1), urls]) {
    const db = createDatabase({ hosts });
    opened.add(() => db.close({ deadlineMs: 0 }));
    await db.query('select 1');
    expect(db.health().primary).toBeDefined();
    const closing = db.close();
    const closed = {
      level: 'critical',
      primary: undefined,
      hosts: hosts.map(() => ({ role: 'offline', reason: 'the database is closed' })),
    };
    expect(db.health()).toMatchObject(closed);
    await closing;
    expect(db.health()).toMatchObject(closed);
  }
  const unused = createDatabase({ hosts: urls });
  await unused.close();
  expect(unused.health().level).toBe('critical');
});

test('every call of close returns the same promise, and a wrong deadline rejects', async () => {
  const { db } = await opened.database();
  await db.query('select 1');
  for (const options of [
    { deadlineMs: -1 },
    { deadlineMs: Number.NaN },
    null,
    5,
    { deadline: 5 },
  ]) {
    const failure = failureOf(Reflect.apply(db.close.bind(db), undefined, [options]));
    expect(await failure).toMatchObject({ code: 'INVALID_OPTION' });
  }
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  const closing = db.close();
  expect(db.close({ deadlineMs: 1 })).toBe(closing);
  expect(db.end()).toBe(closing);
  await closing;
  expect(db.close()).toBe(closing);
});
