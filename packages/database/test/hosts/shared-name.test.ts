import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import {
  type Consistency,
  type Database,
  type DatabaseOptions,
  type Token,
  createDatabase,
} from '../../src/index.ts';
import { Opened, failureOf } from '../open-database.ts';
import { startNode, untilRoles, writesOf } from './scripted-host.ts';
import { type SharedName, openSharedName } from './shared-name.ts';

const opened = new Opened();
afterEach(() => opened.close());

async function node(name: string, role: 'primary' | 'standby'): Promise<FakePostgres> {
  const server = await startNode(name, role);
  opened.add(() => server.close());
  return server;
}

async function sharedName(...servers: readonly FakePostgres[]): Promise<SharedName> {
  const name = await openSharedName(...servers);
  opened.add(() => name.close());
  return name;
}

function open(hosts: string | readonly string[], options: Partial<DatabaseOptions> = {}): Database {
  const db = createDatabase({ hosts, max: 4, probeIntervalMs: 50, ...options });
  opened.add(() => db.close({ deadlineMs: 0 }));
  return db;
}

const WHO = 'select who';

/** Who serves so many reads at once, so that several connections are used. */
async function whoServes(read: () => Promise<unknown>, times = 8): Promise<unknown[]> {
  return Promise.all(Array.from({ length: times }, read));
}

const position = (at: number): string => `0/${at.toString(16).toUpperCase()}000000`;

test('a session never misses its own write, though one server behind the readers is behind', async () => {
  const primary = await node('primary', 'primary');
  const [fresh, stale] = [await node('fresh', 'standby'), await node('stale', 'standby')];
  const readers = await sharedName(fresh, stale);
  const db = open([primary.url, readers.url], { replicaWaitMs: 1 });
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  let fromFresh = 0;
  for (let write = 2; write < 40; write += 1) {
    primary.setBehavior({ lsn: position(write) });
    fresh.setBehavior({ replayLsn: position(write) });
    const session = db.session();
    await session.query('insert into t');
    const read = async (): Promise<unknown> =>
      (await session.read((reader) => reader.query(WHO))).rows[0]?.['who'];
    const served = await whoServes(read, 4);
    expect(served).not.toContain('stale');
    fromFresh += served.filter((who) => who === 'fresh').length;
  }
  expect(fromFresh).toBeGreaterThan(0);
});

test.each<[string, (token: Token) => Consistency]>([
  ['after a token', (token) => ({ after: token })],
  ['with a bounded lag', () => ({ maxLagMs: 100 })],
])('a read %s is judged on each connection', async (_, consistencyOf) => {
  const primary = await node('primary', 'primary');
  const [fresh, stale] = [await node('fresh', 'standby'), await node('stale', 'standby')];
  const readers = await sharedName(fresh, stale);
  const db = open([primary.url, readers.url], { replicaWaitMs: 1, probeIntervalMs: 20 });
  primary.setBehavior({ lsn: position(9) });
  fresh.setBehavior({ replayLsn: position(9) });
  const { token } = await db.transaction((tx) => tx.query('insert into t'));
  await untilRoles(db, ['primary', 'standby']);
  for (let round = 0; round < 10; round += 1) {
    await nextEvent(primary, 'statement');
    const read = async (): Promise<unknown> => {
      const served = db.read(consistencyOf(token), (reader) => reader.query(WHO));
      return (await served).rows[0]?.['who'];
    };
    expect(await whoServes(read)).not.toContain('stale');
  }
});

test('a session never goes back in time between two servers of one name', async () => {
  const [ahead, behind] = [await node('ahead', 'standby'), await node('behind', 'standby')];
  const readers = await sharedName(ahead, behind);
  ahead.setBehavior({ replayLsn: position(5) });
  behind.setBehavior({ replayLsn: position(4) });
  const primary = await node('primary', 'primary');
  primary.setBehavior({ lsn: position(6) });
  const db = open([primary.url, readers.url], { replicaWaitMs: 1 });
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  for (let round = 0; round < 20; round += 1) {
    const session = db.session();
    const seen: unknown[] = [];
    for (let read = 0; read < 4; read += 1) {
      const two = await Promise.all([
        session.read(async (reader) => reader.query(WHO)),
        db.read('any', (reader) => reader.query(WHO)),
      ]);
      seen.push(two[0].rows[0]?.['who']);
    }
    const first = seen.findIndex((who) => who !== 'behind');
    const later = first < 0 ? [] : seen.slice(first);
    expect(later).not.toContain('behind');
  }
});

test('of one name for a primary and a standby, strong reads and a session after a write see the primary', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const name = await sharedName(standby, primary);
  primary.setBehavior({ lsn: position(3) });
  const db = open(name.url);
  const strong = async (): Promise<unknown> =>
    (await db.read('strong', (reader) => reader.query(WHO))).rows[0]?.['who'];
  expect(new Set(await whoServes(strong))).toEqual(new Set(['primary']));
  const session = db.session();
  await session.query('insert into t');
  standby.setBehavior({ replayLsn: position(2) });
  const read = async (): Promise<unknown> =>
    (await session.read((reader) => reader.query(WHO))).rows[0]?.['who'];
  expect(new Set(await whoServes(read))).toEqual(new Set(['primary']));
  expect(writesOf(primary)).toBe(1);
});

test('of one name for a primary and a standby that is behind, a query of a session sees its own write', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const name = await sharedName(primary, standby);
  const db = open(name.url);
  await Promise.all([1, 2, 3, 4].map(() => db.query(WHO)));
  const session = db.session();
  const token = { timeline: 1, lsn: position(3) };
  primary.setBehavior({ lsn: position(3) });
  standby.setBehavior({ replayLsn: position(2) });
  session.observe(token);
  const query = async (): Promise<unknown> => (await session.query(WHO)).rows[0]?.['who'];
  expect(new Set(await whoServes(query))).toEqual(new Set(['primary']));
});

test('a session on a replica alone reads there, and its queries and reads go forward', async () => {
  const standby = await node('standby', 'standby');
  standby.setBehavior({ replayLsn: position(2) });
  const db = open(standby.url);
  const session = db.session();
  await session.query(WHO);
  expect(session.token).toEqual({ timeline: 1, lsn: position(2) });
  expect((await session.read((reader) => reader.query(WHO))).rows).toEqual([{ who: 'standby' }]);
});

test('a name that leads to standbys only serves reads after a token once they have it, else an error', async () => {
  const standby = await node('standby', 'standby');
  const db = open(standby.url, { queryTimeoutMs: 300 });
  const token = { timeline: 1, lsn: position(7) };
  const read = (): Promise<unknown> => db.read({ after: token }, (reader) => reader.query(WHO));
  expect(await failureOf(read())).toMatchObject({ outcome: 'not-applied', retryable: true });
  expect(await failureOf(db.read('strong', (reader) => reader.query(WHO)))).toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
  });
  standby.setBehavior({ replayLsn: position(7) });
  expect(await read()).toMatchObject({ rows: [{ who: 'standby' }] });
});

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['a write', (db) => db.query('insert into t')],
  ['a transaction', (db) => db.transaction((tx) => tx.query('insert into t'))],
  ['a batch', (db) => db.batch([{ text: 'insert into t' }, { text: 'insert into u' }])],
  ['a session', (db) => db.session().query('insert into t')],
])(
  'one name that moved: the first 25006 of %s drops the connections, and it succeeds on new ones',
  async (_, write) => {
    const [old, next] = [await node('old', 'primary'), await node('next', 'primary')];
    const name = await sharedName(old);
    const db = open(name.url);
    await Promise.all([1, 2, 3, 4].map(() => db.query('insert into t')));
    old.setBehavior({ role: 'standby' });
    name.leadTo(next);
    const before = writesOf(next);
    await write(db);
    expect(writesOf(next)).toBeGreaterThan(before);
    const refused = writesOf(old);
    await Promise.all([1, 2, 3, 4, 5, 6].map(() => db.query('insert into t')));
    // The others were dropped together, not one 25006 after the other.
    expect(writesOf(old)).toBe(refused);
  },
);

test.each(['57P01', '57P02', '57P04', '08006'])(
  'after %s of the former server writes go to where the name leads then',
  async (sqlState) => {
    const [old, next] = [await node('old', 'primary'), await node('next', 'primary')];
    const name = await sharedName(old);
    const db = open(name.url);
    await Promise.all([1, 2, 3, 4].map(() => db.query('insert into t')));
    name.leadTo(next);
    const lost = nextEvent(db, 'lost');
    old.terminate({ sqlState });
    await lost;
    await Promise.all([1, 2, 3, 4].map(() => db.query('insert into t')));
    expect(writesOf(next)).toBe(4);
  },
);

test('a lease that meets 25006 has the others dropped', async () => {
  const [old, next] = [await node('old', 'standby'), await node('next', 'primary')];
  const name = await sharedName(old);
  const db = open(name.url);
  const lease = await db.acquire();
  name.leadTo(next);
  expect(await failureOf(lease.query('insert into t'))).toMatchObject({ sqlState: '25006' });
  lease.release();
  await db.query('insert into t');
  expect(writesOf(next)).toBe(1);
});

test('a name that goes on leading to a standby is an error, not a storm of connections', async () => {
  const standby = await node('standby', 'standby');
  const db = open(standby.url);
  for (let round = 0; round < 20; round += 1) {
    expect(await failureOf(db.query('insert into t'))).toMatchObject({
      sqlState: '25006',
      outcome: 'not-applied',
      retryable: true,
    });
  }
  expect(standby.connectionsTotal).toBeLessThanOrEqual(3);
});

test('25006 in a read-only transaction of the caller drops nothing, and is for good', async () => {
  const server = await node('primary', 'primary');
  server.reply(/^insert/, { error: '25006' });
  const db = open(server.url);
  const call = db.transaction((tx) => tx.query('insert into t'), { readOnly: true });
  const refusal = { sqlState: '25006', outcome: 'not-applied', retryable: false };
  expect(await failureOf(call)).toMatchObject(refusal);
  await db.query('select 1');
  expect(server.connectionsTotal).toBe(1);
});

test('among many hosts a name that moved is resolved anew, also for its probe', async () => {
  const [old, next] = [await node('old', 'primary'), await node('next', 'primary')];
  const other = await node('other', 'standby');
  const name = await sharedName(old);
  const db = open([name.url, other.url], { probeIntervalMs: 60_000 });
  await db.query('insert into t');
  next.setBehavior({ timeline: 2 });
  old.setBehavior({ role: 'standby' });
  name.leadTo(next);
  await db.query('insert into t');
  expect(writesOf(next)).toBe(1);
  await untilRoles(db, ['primary', 'standby']);
});
