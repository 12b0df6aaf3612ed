import { AsyncLocalStorage } from 'node:async_hooks';
import { Socket } from 'node:net';
import { afterEach, expect, jest, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type FakePostgres, createFakePostgres } from '@holdfast/emulators/postgres';
import { type Database, createDatabase } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const UPSERT = 'insert into t values (1) on conflict do nothing';

function arrival(server: FakePostgres, wanted: string): Promise<unknown> {
  return nextEvent(server, 'statement', { matches: ({ sql }) => sql === wanted });
}

test.each<[string, (db: Database, timeoutMs: number) => Promise<unknown>, string]>([
  [
    'query',
    (db, timeoutMs) => db.query(UPSERT, [], { idempotent: true, timeoutMs }),
    'DATABASE_CONNECTION_LOST',
  ],
  [
    'batch',
    (db, timeoutMs) => db.batch([{ text: UPSERT }], { idempotent: true, timeoutMs }),
    'DATABASE_BATCH_FAILED',
  ],
])(
  'a %s that was lost and cannot be sent again is never reported as not applied',
  async (_, call, code) => {
    // The deadline comes after the loss, however slow the machine is.
    const clock = createFakeClock();
    const { db, server } = await opened.database({ max: 1, clock });
    server.reply(UPSERT, 'never');
    const arrived = arrival(server, UPSERT);
    const failure = failureOf(call(db, 300));
    await arrived;
    const lost = nextEvent(db, 'lost');
    await server.stop();
    await lost;
    expect(await clock.settle(failure)).toMatchObject({ code, outcome: 'unknown', phase: 'sent' });
  },
);

test('an idempotent call outlives a server whose connections are lost one after the other', async () => {
  const { db, server } = await opened.database({ max: 4 });
  server.reply('select v', { rows: [{ v: 1 }] });
  const warm = await Promise.all([1, 2, 3, 4].map(() => db.acquire()));
  for (const lease of warm) lease.release();
  const before = new Set(server.sessions().map(({ number }) => number));
  const died: number[] = [];
  server.on('statement', ({ session, sql }) => {
    // Each earlier connection dies with the call on it; later ones serve.
    if (sql !== 'select v' || !before.has(session)) return;
    died.push(session);
    server.terminate({ session });
  });
  const call = await db.query('select v', [], { idempotent: true });
  expect(call.rows).toEqual([{ v: 1 }]);
  expect(died.length).toBeGreaterThan(1);
});

test('a call rejected at its second sending may have taken effect at its first', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const stop = server.reply(UPSERT, 'never');
  const arrived = arrival(server, UPSERT);
  const failure = failureOf(db.query(UPSERT, [], { idempotent: true }));
  await arrived;
  stop();
  server.reply(UPSERT, { error: '23505' });
  server.drop();
  expect(await failure).toMatchObject({
    code: 'DATABASE_QUERY_FAILED',
    sqlState: '23505',
    outcome: 'unknown',
  });
});

test('a call past its deadline at its second sending may have taken effect at its first', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.reply(UPSERT, 'never');
  const arrived = arrival(server, UPSERT);
  const failure = failureOf(db.query(UPSERT, [], { idempotent: true, timeoutMs: 1_500 }));
  await arrived;
  server.drop();
  expect(await failure).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT', outcome: 'unknown' });
  expect(statementsLike(server, /^insert/)).toBe(2);
});

test('a password function that never settles ends its attempt at the connect timeout, and the pool tries again', async () => {
  const server = await createFakePostgres({ password: 'late' });
  opened.add(() => server.close());
  const asked: number[] = [];
  const password = (): Promise<string> =>
    asked.push(1) < 3 ? new Promise(() => undefined) : Promise.resolve('late');
  // No time passes during the third attempt, however slow the machine is.
  const clock = createFakeClock();
  const db = createDatabase({ hosts: server.url, password, connectTimeoutMs: 20, clock });
  opened.add(() => db.close({ deadlineMs: 0 }));
  const failed = nextEvent(db, 'connect-failed');
  const call = db.query('select 1');
  while (asked.length < 3) await clock.advance(1);
  expect(await failed).toMatchObject({ error: expect.stringContaining('CONNECT_TIMEOUT') });
  expect((await call).rowCount).toBe(1);
  expect(asked).toHaveLength(3);
});

test.each<[string, () => Promise<string>]>([
  [
    'throws',
    () => {
      throw new Error('no vault');
    },
  ],
  ['gives no string', () => Promise.resolve(JSON.parse('7'))],
])('a password function that %s rejects waiting callers at once', async (_, password) => {
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url, password });
  opened.add(() => db.close({ deadlineMs: 0 }));
  expect(await failureOf(db.query('select 1'))).toMatchObject({
    code: 'DATABASE_CALLBACK_FAILED',
    outcome: 'not-applied',
  });
  expect(server.connectionsTotal).toBe(0);
});

test('a database can be ended while a password function is pending', async () => {
  const server = await createFakePostgres({});
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url, password: () => new Promise(() => undefined) });
  const failure = failureOf(db.query('select 1'));
  await db.close({ deadlineMs: 10 });
  expect(await failure).toMatchObject({ code: 'DATABASE_CLOSED', outcome: 'not-applied' });
});

test('in a batch a name in use for another statement is rejected alone, and at once', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const call = db.batch([
    { text: 'select 1', name: 'same' },
    { text: 'select 2', name: 'same' },
    { text: 'select 3' },
  ]);
  expect(await failureOf(call)).toMatchObject({
    code: 'DATABASE_BATCH_FAILED',
    results: [
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'DATABASE_QUERY_FAILED', outcome: 'not-applied' } },
      { status: 'fulfilled' },
    ],
  });
  const alone = failureOf(db.batch([{ text: 'select 2', name: 'same' }]));
  expect(await alone).toMatchObject({ code: 'DATABASE_BATCH_FAILED', outcome: 'not-applied' });
  await db.query('select 4');
  expect(statementsLike(server, /select 2/)).toBe(0);
  expect(server.sessions()).toHaveLength(1);
});

test('a connection does not keep the async context of the call that it was opened for', async () => {
  const { db, server } = await opened.database({ max: 1 });
  const request = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  db.on('lost', () => seen.push(request.getStore()));
  const own = await request.run('first', async () => {
    await db.query('select 1');
    return request.getStore();
  });
  const lost = nextEvent(db, 'lost');
  server.drop();
  await lost;
  expect({ own, seen }).toEqual({ own: 'first', seen: [undefined] });
});

test('a waiting caller keeps its own async context, whichever call releases the connection', async () => {
  const { db } = await opened.database({ max: 1 });
  const request = new AsyncLocalStorage<number>();
  const contexts = await Promise.all(
    [1, 2, 3].map((number) =>
      request.run(number, async () => {
        await db.query('select 1');
        return request.getStore();
      }),
    ),
  );
  expect(contexts).toEqual([1, 2, 3]);
});

test('a caller that gives up while a connection is being opened leaves it to the next', async () => {
  const { db, server } = await opened.database({ max: 1 });
  server.setBehavior({ replyDelayMs: 50 });
  const abort = new AbortController();
  const failure = failureOf(db.query('select 1', [], { signal: abort.signal }));
  const next = db.query('select 2');
  abort.abort('changed my mind');
  expect(await failure).toBe('changed my mind');
  expect((await next).rowCount).toBe(1);
  expect(server.sessions()).toHaveLength(1);
  expect(statementsLike(server, /select 1/)).toBe(0);
});

test('end lets a transaction finish, and a lease whose connection it closes rejects with DatabaseClosedError', async () => {
  const { db, server } = await opened.database({ max: 2 });
  const begun = Promise.withResolvers<undefined>();
  const goOn = Promise.withResolvers<undefined>();
  const working = db.transaction(async (tx) => {
    await tx.query('select 1');
    begun.resolve(undefined);
    await goOn.promise;
    await tx.query('insert into t');
    return 'kept';
  });
  server.reply('insert into t', { command: 'INSERT 0 1' });
  server.reply('select slow()', 'never');
  const lease = await db.acquire();
  const arrived = arrival(server, 'select slow()');
  const held = failureOf(lease.query('select slow()'));
  await Promise.all([begun.promise, arrived]);
  const ended = db.close({ deadlineMs: 200 });
  goOn.resolve(undefined);
  expect((await working).value).toBe('kept');
  expect(await held).toMatchObject({ code: 'DATABASE_CLOSED', outcome: 'not-applied' });
  await ended;
  expect(await failureOf(lease.query('select 1'))).toMatchObject({ code: 'DATABASE_CLOSED' });
  lease.release();
});

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['query', (db) => db.query('select 1')],
  ['batch', (db) => db.batch([{ text: 'select 1' }])],
  ['transaction', (db) => db.transaction((tx) => tx.query('select 1'))],
  ['read', (db) => db.read('any', (reader) => reader.query('select 1'))],
  ['acquire', (db) => db.acquire()],
  ['session.query', (db) => db.session().query('select 1')],
  ['session.read', (db) => db.session().read((reader) => reader.query('select 1'))],
  ['session.transaction', (db) => db.session().transaction((tx) => tx.query('select 1'))],
])('%s after the end is rejected, and nothing is sent', async (_, call) => {
  const { db, server } = await opened.database();
  await db.close();
  expect(await failureOf(call(db))).toMatchObject({
    code: 'DATABASE_CLOSED',
    outcome: 'not-applied',
  });
  expect(server.connectionsTotal).toBe(0);
});

test('TCP keepalive probes a silent connection, by default after 10 seconds', async () => {
  const asked = jest.spyOn(Socket.prototype, 'setKeepAlive');
  try {
    const { db } = await opened.database();
    await db.query('select 1');
    const patient = await opened.database({ keepAliveMs: 60_000 });
    await patient.db.query('select 1');
    expect(asked.mock.calls.map(([on, delayMs]) => [on, delayMs])).toEqual([
      [true, 10_000],
      [true, 60_000],
    ]);
  } finally {
    asked.mockRestore();
  }
});

test('statements of a read end by its deadline, in parallel or abandoned', async () => {
  const { db, server } = await opened.database({ max: 4 });
  server.reply('select slow()', 'never');
  const beside = db.read(
    'any',
    (reader) => Promise.all([reader.query('select slow()'), reader.query('select slow()')]),
    { timeoutMs: 500 },
  );
  expect(await failureOf(beside)).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT' });
  const left = await db.read('any', (reader) => [failureOf(reader.query('select slow()'))], {
    timeoutMs: 500,
  });
  expect(await left[0]).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT' });
  await db.query('select 1');
});
