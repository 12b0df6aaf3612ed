import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import type { FakePostgres } from '@holdfast/emulators/postgres';
import { type Database, type DatabaseOptions, createDatabase } from '../../src/index.ts';
import { statementsLike } from '../open-database.ts';
import { startNode, untilRoles, writesOf } from './scripted-host.ts';

const opened: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function node(name: string, role: 'primary' | 'standby'): Promise<FakePostgres> {
  const server = await startNode(name, role);
  opened.push(() => server.close());
  return server;
}

function open(servers: readonly FakePostgres[], options: Partial<DatabaseOptions> = {}): Database {
  const db = createDatabase({
    hosts: servers.map(({ url }) => url),
    max: 4,
    probeIntervalMs: 20,
    // A host that only is slow, on a busy machine, must not be taken for one that is away; what is down refuses at once.
    probeTimeoutMs: 10_000,
    ...options,
  });
  opened.push(() => db.close({ deadlineMs: 0 }));
  return db;
}

async function readerOf(
  db: Database,
  consistency: Parameters<Database['read']>[0],
): Promise<unknown> {
  const { rows } = await db.read(consistency, (reader) => reader.query('select who'));
  return rows[0]?.['who'];
}

/** Reads until that host responds; how soon depends on the machine. */
async function untilRead(read: () => Promise<unknown>, wanted: string): Promise<void> {
  while ((await read()) !== wanted);
}

test('writes go to the primary, at any position in the list', async () => {
  const [standby, primary] = [await node('standby', 'standby'), await node('primary', 'primary')];
  const db = open([standby, primary]);
  await db.query('insert into t');
  expect(writesOf(standby)).toBe(0);
  expect(writesOf(primary)).toBe(1);
  await untilRoles(db, ['standby', 'primary']);
  expect(db.health()).toMatchObject({ level: 'healthy', primary: db.health().hosts[1]?.host });
});

test('when the primary dies and the standby is promoted, callers wait and are then served', async () => {
  const [first, second] = [await node('first', 'primary'), await node('second', 'standby')];
  const db = open([first, second]);
  await db.query('insert into t');
  const lost = nextEvent(db, 'lost');
  await first.stop();
  await lost;
  const held = Array.from({ length: 5 }, () => db.query('insert into t'));
  await untilRoles(db, ['offline', 'standby']);
  second.setBehavior({ role: 'primary', timeline: 2 });
  expect(await Promise.all(held)).toHaveLength(5);
  expect(writesOf(second)).toBe(5);
});

test('a former primary that comes back is fenced, and gets no writes', async () => {
  const [first, second] = [await node('first', 'primary'), await node('second', 'standby')];
  const db = open([first, second]);
  await db.query('insert into t');
  const lost = nextEvent(db, 'lost');
  await first.stop();
  await lost;
  second.setBehavior({ role: 'primary', timeline: 2 });
  await db.query('insert into t');
  await first.start();
  await untilRoles(db, ['fenced', 'primary']);
  const before = writesOf(first);
  await Promise.all(Array.from({ length: 20 }, () => db.query('insert into t')));
  expect(writesOf(first)).toBe(before);
  expect(db.health().level).toBe('degraded');
});

test('a promotion while the former primary still responds moves the writes and closes its connections', async () => {
  const [first, second] = [await node('first', 'primary'), await node('second', 'standby')];
  const db = open([first, second]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  second.setBehavior({ role: 'primary', timeline: 2 });
  await untilRoles(db, ['fenced', 'primary']);
  await db.query('insert into t');
  expect(writesOf(first)).toBe(1);
  expect(writesOf(second)).toBe(1);
});

test('of two primaries the one on the later timeline is detected from the start', async () => {
  const [old, current] = [await node('old', 'primary'), await node('current', 'primary')];
  current.setBehavior({ timeline: 2 });
  const db = open([old, current]);
  await Promise.all(Array.from({ length: 10 }, () => db.query('insert into t')));
  expect(writesOf(old)).toBe(0);
});

test('a write that a demoted host rejects (25006) goes to the new primary', async () => {
  const [first, second] = [await node('first', 'primary'), await node('second', 'standby')];
  const db = open([first, second], { probeIntervalMs: 60_000 });
  await db.query('insert into t');
  first.setBehavior({ role: 'standby' });
  second.setBehavior({ role: 'primary', timeline: 2 });
  await db.query('insert into t');
  expect(writesOf(second)).toBe(1);
});

test('while no host accepts writes a caller rejects at its deadline with the state of all hosts', async () => {
  const [one, two] = [await node('one', 'standby'), await node('two', 'standby')];
  const db = open([one, two]);
  const call = db.query('insert into t', [], { timeoutMs: 60 });
  await expect(call).rejects.toMatchObject({
    code: 'DATABASE_NO_WRITABLE_HOST',
    outcome: 'not-applied',
    phase: 'not-sent',
  });
  expect(db.health().level).toBe('critical');
});

test('reads go to a standby, strong ones to the primary', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  expect(await readerOf(db, 'any')).toBe('standby');
  expect(await readerOf(db, 'strong')).toBe('primary');
});

test('a read after a token goes to a standby that has replayed it, else to the primary', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby], { replicaWaitMs: 10 });
  primary.setBehavior({ lsn: '0/2000000' });
  const { token } = await db.transaction((tx) => tx.query('insert into t'));
  await untilRoles(db, ['primary', 'standby']);
  expect(token).toEqual({ timeline: 1, lsn: '0/2000000' });
  expect(await readerOf(db, { after: token })).toBe('primary');
  standby.setBehavior({ replayLsn: '0/2000000' });
  await untilRead(() => readerOf(db, { after: token }), 'standby');
  expect(db.getStats().replicaReads).toBe(1);
});

test('a read waits for a standby that catches up within replicaWaitMs', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby], { replicaWaitMs: 5_000, probeIntervalMs: 60_000 });
  primary.setBehavior({ lsn: '0/2000000' });
  const { token } = await db.transaction((tx) => tx.query('insert into t'));
  await untilRoles(db, ['primary', 'standby']);
  const reading = readerOf(db, { after: token });
  const asked = nextEvent(standby, 'statement');
  await asked;
  standby.setBehavior({ replayLsn: '0/2000001' });
  expect(await reading).toBe('standby');
});

test('a standby on another timeline is not used, whatever its position', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  primary.setBehavior({ timeline: 2, lsn: '0/2000000' });
  standby.setBehavior({ timeline: 1, replayLsn: 'F/0' });
  const db = open([primary, standby]);
  const { token } = await db.transaction((tx) => tx.query('insert into t'));
  expect(await readerOf(db, { after: token })).toBe('primary');
});

test.each([
  ['a former primary', []],
  ['a former primary and its standby', ['standby'] as const],
])('%s serves no read after a position of a later timeline', async (_, others) => {
  const servers = [await node('former', 'primary')];
  for (const role of others) servers.push(await node('other', role));
  const lost = await node('promoted', 'standby');
  servers.push(lost);
  await lost.stop();
  const db = open(servers, { replicaWaitMs: 50 });
  const consistency = { after: { timeline: 2, lsn: '0/100' } };
  for (let read = 0; read < 3; read += 1) {
    await expect(
      db.read(consistency, (reader) => reader.query('select who'), { timeoutMs: 2_000 }),
    ).rejects.toMatchObject({
      // On a busy machine the time may be over before.
      code: expect.stringMatching(/^DATABASE_(?:NO_WRITABLE_HOST|ACQUIRE_TIMEOUT|QUERY_TIMEOUT)$/),
    });
  }
  expect(servers.flatMap((server) => server.statements())).toContain('select who');
  await lost.start();
  lost.setBehavior({ role: 'primary', timeline: 2, lsn: '0/200' });
  await untilRead(() => readerOf(db, consistency).catch(() => undefined), 'promoted');
});

test('paused replay counts as lag, although the standby looks healthy', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  const lagOf = (): number | undefined => db.health().hosts[1]?.lagMs;
  while (lagOf() === undefined) await nextEvent(primary, 'statement');
  expect(await readerOf(db, { maxLagMs: 60_000 })).toBe('standby');
  primary.setBehavior({ lsn: '0/9000000' });
  while ((lagOf() ?? 0) < 100) await nextEvent(primary, 'statement');
  expect(await readerOf(db, { maxLagMs: 50 })).toBe('primary');
});

test('a session reads its own writes, and never goes back in time', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby], { replicaWaitMs: 1 });
  const session = db.session();
  const who = async (): Promise<unknown> =>
    (await session.read((reader) => reader.query('select who'))).rows[0]?.['who'];
  primary.setBehavior({ lsn: '0/2000000' });
  await session.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  expect(session.token).toEqual({ timeline: 1, lsn: '0/2000000' });
  expect(await who()).toBe('primary');

  standby.setBehavior({ replayLsn: '0/2000000' });
  await untilRead(who, 'standby');
  // A read on the primary may include data that the standby has not replayed.
  const lost = nextEvent(db, 'lost');
  standby.drop();
  await lost;
  primary.setBehavior({ lsn: '0/3000000' });
  expect(await who()).toBe('primary');
  expect(session.token).toEqual({ timeline: 1, lsn: '0/3000000' });
  expect(await who()).toBe('primary');
});

test('a read whose standby dies is run once more on another host', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  standby.reply('select who', 'never');
  const reading = readerOf(db, 'any');
  await nextEvent(standby, 'statement', { matches: ({ sql }) => sql === 'select who' });
  await standby.stop();
  expect(await reading).toBe('primary');
});

test.each(['responds', 'hangs'])(
  'one lost connection to the primary is no outage, while the standby %s',
  async (standbys) => {
    const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
    const db = open([primary, standby], { probeTimeoutMs: 500 });
    await db.query('insert into t');
    await untilRoles(db, ['primary', 'standby']);
    if (standbys === 'hangs') standby.setBehavior({ frozen: true });
    const lost = nextEvent(db, 'lost');
    primary.drop({ session: 2 });
    await lost;
    const levels = new Set<string>();
    while (db.health().primary === undefined) {
      levels.add(db.health().level);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...levels]).toEqual(['degraded']);
  },
);

test('a primary that dies is critical once its probe has failed', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby]);
  await db.query('insert into t');
  await untilRoles(db, ['primary', 'standby']);
  await primary.stop();
  await untilRoles(db, ['offline', 'standby']);
  expect(db.health()).toMatchObject({ level: 'critical', primary: undefined });
});

test('an ended cluster probes no host any more', async () => {
  const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
  const db = open([primary, standby]);
  await db.query('insert into t');
  await db.close();
  while (primary.connectionsOpen + standby.connectionsOpen > 0) {
    await Promise.race([nextEvent(primary, 'ended'), nextEvent(standby, 'ended')]);
  }
  await expect(db.query('select 1')).rejects.toMatchObject({ code: 'DATABASE_CLOSED' });
});

test.each<[string, (db: Database) => Promise<unknown>]>([
  ['read', (db) => db.read('any', (reader) => reader.query('update t set v = 1'))],
  ['session', (db) => db.session().read((reader) => reader.query('update t set v = 1'))],
])(
  'a write inside a %s of a standby is sent once, and it is the fault of the caller',
  async (_, call) => {
    const [primary, standby] = [await node('primary', 'primary'), await node('standby', 'standby')];
    const db = open([primary, standby]);
    await untilRoles(db, ['primary', 'standby']);
    expect(await readerOf(db, 'any')).toBe('standby');
    await expect(call(db)).rejects.toMatchObject({ sqlState: '25006', retryable: false });
    expect(statementsLike(standby, /^update/)).toBe(1);
    expect(statementsLike(primary, /^update/)).toBe(0);
  },
);
