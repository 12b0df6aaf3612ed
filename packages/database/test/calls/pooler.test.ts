import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import type { Database } from '../../src/index.ts';
import { Opened, failureOf, statementsLike } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const READ = 'select v from t';

/** A pooler accepts and then ends every connection at its first statement, while its server is away. */
function goAway(server: FakePostgres, error = '08P01'): () => void {
  const stop = server.reply(/./, { error, severity: 'FATAL', message: 'server conn crashed?' });
  return stop;
}

const idempotent = { idempotent: true };

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['an idempotent query', (db) => db.query(READ, [], idempotent)],
  ['a batch', (db) => db.batch([{ text: READ }, { text: READ }], idempotent)],
  ['a read', (db) => db.read('any', (reader) => reader.query(READ))],
  ['a strong read', (db) => db.read('strong', (reader) => reader.query(READ))],
  ['a query of a session', (db) => db.session().query(READ, [], idempotent)],
  ['a read of a session', (db) => db.session().read((reader) => reader.query(READ))],
  ['a transaction', (db) => db.transaction((tx) => tx.query(READ), { maxRetries: 0 })],
])(
  'behind a pooler whose server is away %s is held, and served when it is back',
  async (_, call) => {
    const { db, server } = await opened.database({ queryTimeoutMs: 20_000 });
    server.reply(READ, { rows: [{ v: 1 }] });
    await db.query('select 1');
    const back = goAway(server);
    const called = call(db);
    for (let lost = 0; lost < 4; lost += 1) await nextEvent(db, 'lost');
    back();
    await called;
    expect(statementsLike(server, /^select v|^begin|^select pg_backend/)).toBeGreaterThan(3);
    // What never began was no run of a callback.
    expect(db.getStats().transactionRetries).toBe(0);
  },
);

test.each(['08000', '08003', '08006', '08P01', '57P01', '57P02', '57P03', '53300'])(
  'a FATAL %s to each statement is waited out until the deadline, with growing pauses',
  async (state) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ clock });
    goAway(server, state);
    const call = db.query(READ, [], { idempotent: true, timeoutMs: 2_000 });
    const failure = failureOf(call);
    let isOver = false;
    void failure.then(() => (isOver = true));
    const over = (): boolean => isOver;
    while (!over()) await clock.advance(1);
    expect(await failure).toMatchObject({ outcome: 'unknown' });
    expect(clock.now()).toBeLessThanOrEqual(2_100);
    const sent = statementsLike(server, /^select v/);
    expect(sent).toBeGreaterThan(4);
    expect(sent).toBeLessThan(20);
  },
);

test('a write is not sent again, and its outcome is unknown', async () => {
  const { db, server } = await opened.database();
  goAway(server);
  expect(await failureOf(db.query('insert into t'))).toMatchObject({
    code: 'DATABASE_CONNECTION_LOST',
    outcome: 'unknown',
    sqlState: '08P01',
  });
  expect(statementsLike(server, /^insert/)).toBe(1);
});

test.each([
  ['for acquireTimeoutMs', { acquireTimeoutMs: 300 }, {}, 300],
  ['for a timeoutMs of its own', { acquireTimeoutMs: 300 }, { timeoutMs: 700 }, 700],
] as const)(
  'a transaction that cannot begin waits %s, and is told the answer of the pooler',
  async (_, options, own, limitMs) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ clock, ...options });
    goAway(server);
    let runs = 0;
    const failure = failureOf(db.transaction(() => (runs += 1), own));
    let isOver = false;
    void failure.then(() => (isOver = true));
    const over = (): boolean => isOver;
    while (!over()) await clock.advance(1);
    expect(await failure).toMatchObject({
      code: 'DATABASE_CONNECTION_LOST',
      sqlState: '08P01',
      outcome: 'not-applied',
      retryable: true,
      cause: { code: '08P01' },
    });
    expect(clock.now()).toBeGreaterThanOrEqual(limitMs);
    expect(clock.now()).toBeLessThan(limitMs + 300);
    expect(runs).toBe(0);
  },
);

test('a transaction whose BEGIN is refused, and then not answered, is told the refusal', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock, transactionTimeoutMs: 2_000 });
  let begins = 0;
  server.reply(/^begin/i, () => {
    begins += 1;
    return begins === 1
      ? { error: '08P01', severity: 'FATAL' }
      : { command: 'BEGIN', delayMs: 60_000 };
  });
  const call = failureOf(db.transaction(() => undefined));
  let isOver = false;
  void call.then(() => (isOver = true));
  const over = (): boolean => isOver;
  while (!over()) await clock.advance(5);
  expect(await call).toMatchObject({ sqlState: '08P01', outcome: 'not-applied', retryable: true });
});

test('while it is held a call ends at once by its signal', async () => {
  const { db, server } = await opened.database();
  goAway(server);
  const abort = new AbortController();
  const call = failureOf(db.query(READ, [], { idempotent: true, signal: abort.signal }));
  for (let lost = 0; lost < 3; lost += 1) await nextEvent(db, 'lost');
  abort.abort('no longer wanted');
  expect(await call).toBe('no longer wanted');
});
