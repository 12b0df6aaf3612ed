import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type CallOptions, type Database, createDatabase } from '../../src/index.ts';
import { startNode } from '../hosts/scripted-host.ts';
import { Opened, failureOf } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

const READ = 'select who';
const LONG: CallOptions = { timeoutMs: 20_000 };

const calls: readonly [string, (db: Database, options?: CallOptions) => Promise<unknown>][] = [
  ['a query', (db, options) => db.query(READ, [], options)],
  ['a batch', (db, options) => db.batch([{ text: READ }], options)],
  ['a transaction', (db, options) => db.transaction((tx) => tx.query(READ), options)],
  ['a read', (db, options) => db.read('any', (reader) => reader.query(READ), options)],
  ['a strong read', (db, options) => db.read('strong', (reader) => reader.query(READ), options)],
  ['a query of a session', (db, options) => db.session().query(READ, [], options)],
  [
    'a read of a session',
    (db, options) => db.session().read((reader) => reader.query(READ), options),
  ],
  ['a lease', async (db, options) => (await db.acquire(options)).release()],
];

test.each(calls)(
  '%s with a timeout of its own waits for a connection for as long as it has',
  async (_, call) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ max: 1, acquireTimeoutMs: 100, clock });
    server.reply(READ, { rows: [{ who: 'one' }] });
    const lease = await db.acquire();
    const beganMs = clock.now();
    const patient = call(db, LONG);
    const impatient = failureOf(call(db));
    expect(await clock.settle(impatient)).toMatchObject({
      code: 'DATABASE_ACQUIRE_TIMEOUT',
      outcome: 'not-applied',
    });
    expect(clock.now()).toBeLessThanOrEqual(beganMs + 300);
    await clock.advance(2_000);
    lease.release();
    await patient;
  },
);

test.each(calls)(
  '%s of a cluster with a timeout of its own waits for a primary as long',
  async (_, call) => {
    const servers = [await startNode('one', 'standby'), await startNode('two', 'standby')];
    for (const server of servers) opened.add(() => server.close());
    const db = createDatabase({
      hosts: servers.map(({ url }) => url),
      acquireTimeoutMs: 100,
      probeTimeoutMs: 10_000,
      replicaWaitMs: 0,
    });
    opened.add(() => db.close({ deadlineMs: 0 }));
    const patient = call(db, LONG);
    // Nobody takes writes; this one gives up, and the other goes on.
    await failureOf(db.query(READ));
    servers[0]?.setBehavior({ role: 'primary', timeline: 2 });
    if (db.health().primary === undefined) {
      await nextEvent(db, 'host', { matches: ({ to }) => to === 'primary' });
    }
    await patient;
    expect(db.health().primary).toBeDefined();
  },
);

test('a timeout of its own that is shorter than acquireTimeoutMs ends the wait too', async () => {
  const clock = createFakeClock();
  const { db } = await opened.database({ max: 1, acquireTimeoutMs: 1_000, clock });
  const lease = await db.acquire();
  const failure = failureOf(db.query(READ, [], { timeoutMs: 50 }));
  await clock.advance(50);
  expect(await failure).toMatchObject({ code: 'DATABASE_ACQUIRE_TIMEOUT' });
  lease.release();
});
