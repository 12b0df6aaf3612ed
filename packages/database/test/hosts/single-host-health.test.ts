import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import { type Database, createDatabase } from '../../src/index.ts';
import { Opened } from '../open-database.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function untilLevel(db: Database, level: string): Promise<void> {
  while (db.health().level !== level) await new Promise((resolve) => setImmediate(resolve));
}

test('before the first call nothing is called healthy, and asking finds out', async () => {
  const { db } = await opened.database();
  expect(db.health()).toMatchObject({ level: 'critical', primary: undefined });
  await untilLevel(db, 'healthy');
  expect(db.health().hosts).toMatchObject([{ role: 'primary' }]);
});

test('a host whose connections were lost is not healthy before the next call', async () => {
  const { db, server } = await opened.database();
  await db.query('select 1');
  expect(db.health().level).toBe('healthy');
  const lost = nextEvent(db, 'lost');
  await server.stop();
  await lost;
  // Whether it is away, or has closed this connection alone, only the probe tells.
  expect(db.health()).toMatchObject({ level: 'degraded', hosts: [{ role: 'unknown' }] });
  await untilLevel(db, 'critical');
  await server.start();
  await untilLevel(db, 'healthy');
});

/** Every level that is told until the condition holds. */
async function levelsUntil(db: Database, over: () => boolean): Promise<Set<string>> {
  const levels = new Set<string>();
  while (!over()) {
    levels.add(db.health().level);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return levels;
}

test.each([1, 3])(
  'one lost connection of %i is no outage: the health is never critical',
  async (connections) => {
    const { db, server } = await opened.database();
    const leases = await Promise.all(Array.from({ length: connections }, () => db.acquire()));
    for (const lease of leases) lease.release();
    expect(db.health().level).toBe('healthy');
    const lost = nextEvent(db, 'lost');
    server.drop({ session: 1 });
    await lost;
    const levels = await levelsUntil(db, () => db.health().level === 'healthy');
    // While other connections are there, nothing is in doubt at all.
    expect(connections === 1 ? ['degraded'] : []).toEqual(expect.arrayContaining([...levels]));
  },
);

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['a call', (db) => db.query('select 1')],
  ['a new connection', async (db) => (await db.acquire()).release()],
  ['a transaction', (db) => db.transaction((tx) => tx.query('select 1'))],
])(
  '%s right after a lost connection is evidence, in the same millisecond too',
  async (_, succeed) => {
    const clock = createFakeClock();
    const { db, server } = await opened.database({ clock });
    await db.query('select 1');
    // After a steady time the first attempt to connect does not wait.
    await clock.advance(1_000);
    const lost = nextEvent(db, 'lost');
    server.terminate();
    await lost;
    await succeed(db);
    expect(db.health()).toMatchObject({ level: 'healthy', hosts: [{ role: 'primary' }] });
  },
);

test('a server that is only full is no outage for those who have connections', async () => {
  const { db, server } = await opened.database({ max: 2, acquireTimeoutMs: 20_000 });
  const lease = await db.acquire();
  server.setBehavior({ maxConnections: 1 });
  const capped = nextEvent(db, 'capped');
  const waiting = db.query('select 1');
  await capped;
  expect(db.health().level).toBe('healthy');
  lease.release();
  await waiting;
  expect(db.health().level).toBe('healthy');
});

test('a host that is down is critical with the reason, and healthy again without any call', async () => {
  const { db, server } = await opened.database({ probeTimeoutMs: 200 });
  await server.stop();
  db.health();
  while (db.health().hosts[0]?.reason === undefined) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(db.health().hosts).toMatchObject([
    { role: 'offline', reason: expect.stringContaining('ECONNREFUSED') },
  ]);
  await server.start();
  await untilLevel(db, 'healthy');
});

test('a frozen host is noticed by those who ask for its health', async () => {
  const { db, server } = await opened.database({ probeTimeoutMs: 50, probeIntervalMs: 20 });
  await db.query('select 1');
  server.setBehavior({ frozen: true });
  // On a busy machine its last reply may be too old before the probe has failed.
  while (db.health().hosts[0]?.role !== 'offline') {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(db.health().level).toBe('critical');
  server.setBehavior({ frozen: false });
  await untilLevel(db, 'healthy');
});

test('once its health was asked, a host is probed without further questions', async () => {
  const { db, server } = await opened.database({ probeTimeoutMs: 2_000, probeIntervalMs: 50 });
  await db.query('select 1');
  expect(db.health().level).toBe('healthy');
  for (let probes = 0; probes < 3; probes += 1) {
    await nextEvent(server, 'statement', {
      matches: ({ sql }) => sql.includes('pg_is_in_recovery()'),
    });
  }
  expect(db.health().level).toBe('healthy');
});

test('a reply that is older than a probe could be is no evidence', async () => {
  const clock = createFakeClock();
  const { db } = await opened.database({ clock });
  await db.query('select 1');
  await clock.advance(10_000);
  expect(db.health()).toMatchObject({ level: 'critical', hosts: [{ role: 'unknown' }] });
  await untilLevel(db, 'healthy');
});

test('closing ends the probes', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock });
  db.health();
  await untilLevel(db, 'healthy');
  await db.close();
  const { connectionsTotal } = server;
  db.health();
  await clock.advance(5_000);
  expect(server.connectionsTotal).toBe(connectionsTotal);
});

test('a host in use is not probed by the question alone, nor is a database that nobody asks', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock });
  await db.query('select 1');
  for (let asked = 0; asked < 5; asked += 1) expect(db.health().level).toBe('healthy');
  expect(server.connectionsTotal).toBe(1);
  await clock.advance(500);
  expect(server.connectionsTotal).toBe(1);
});

test('a single host that is a standby accepts no writes, so it is critical', async () => {
  const server = await createFakePostgres({ behavior: { role: 'standby' } });
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url });
  opened.add(() => db.close({ deadlineMs: 0 }));
  db.health();
  while (db.health().hosts[0]?.role !== 'standby') {
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(db.health()).toMatchObject({ level: 'critical', primary: undefined });
});

test('closing ends a probe of the health', async () => {
  const { db, server } = await opened.database();
  server.setBehavior({ reception: 'silent' });
  db.health();
  await db.close();
  expect(db.health().level).toBe('critical');
});
