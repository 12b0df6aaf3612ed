import { afterEach, expect, test } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { FakePostgres, FakeReply } from '@holdfast/emulators/postgres';
import { type Database, type DatabaseHealth, createDatabase } from '../../src/index.ts';
import { Opened } from '../open-database.ts';
import { startNode, untilRoles } from './scripted-host.ts';

const opened = new Opened();
afterEach(() => opened.close());

const PROBES = { probeIntervalMs: 40, probeTimeoutMs: 500, acquireTimeoutMs: 300 };

type Call = (db: Database) => Promise<unknown>;

const read: Call = (db) => db.query('select 1', [], { idempotent: true, timeoutMs: 300 });
const write: Call = (db) => db.query('insert into t', [], { timeoutMs: 300 });
const traffic: readonly (readonly [string, Call | undefined])[] = [
  ['nobody', undefined],
  ['reads', read],
  ['writes', write],
  ['batches', (db) => db.batch([{ text: 'select 1' }, { text: 'select 2' }], { timeoutMs: 300 })],
  [
    'transactions',
    (db) => db.transaction((tx) => tx.query('insert into t'), { timeoutMs: 300, maxRetries: 0 }),
  ],
  ['reads of a session', (db) => db.session().read((reader) => reader.query('select 1'))],
];

/** Calls, one after the other, until the test is over. */
function keepCalling(db: Database, call: Call | undefined): void {
  if (call === undefined) return;
  const ending = new AbortController();
  const calling = (async () => {
    while (!ending.signal.aborted) {
      await call(db).catch(() => undefined);
      await nextTurn();
    }
  })();
  opened.add(() => {
    ending.abort();
    return calling;
  });
}

async function untilLevel(db: Database, level: DatabaseHealth['level']): Promise<void> {
  while (db.health().level !== level) await nextTurn();
}

/** The levels that are told while the server gets so many more probes. */
async function levelsFor(db: Database, probes: number, server: FakePostgres): Promise<string[]> {
  const levels = new Set<string>();
  const count = (): number => server.statements().filter((sql) => sql.includes('read_only')).length;
  const until = count() + probes;
  while (count() < until) {
    levels.add(db.health().level);
    await nextTurn();
  }
  return [...levels];
}

async function one(): Promise<{ db: Database; server: FakePostgres }> {
  const server = await startNode('one', 'primary');
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url, max: 4, ...PROBES });
  opened.add(() => db.close({ deadlineMs: 0 }));
  await db.query('select 1');
  expect(db.health().level).toBe('healthy');
  return { db, server };
}

const DENIALS: readonly (readonly [string, FakeReply])[] = [
  ['FATAL 08P01', { error: '08P01', severity: 'FATAL', message: 'server login has been failing' }],
  ['FATAL 53300', { error: '53300', severity: 'FATAL' }],
  ['FATAL 57P03', { error: '57P03', severity: 'FATAL' }],
  ['FATAL XX000', { error: 'XX000', severity: 'FATAL' }],
  ['ERROR 58000', { error: '58000', message: 'no server is available' }],
  ['ERROR 08006', { error: '08006', message: 'no server is available' }],
];

test.each(
  DENIALS.flatMap(([denial, reply]) => traffic.map((each) => [denial, ...each, reply] as const)),
)(
  'a pooler that accepts and answers %s, called for %s: critical, and never less until it serves',
  async (_, __, call, reply) => {
    const { db, server } = await one();
    keepCalling(db, call);
    const serve = server.reply(/./, reply);
    await untilLevel(db, 'critical');
    expect(await levelsFor(db, 5, server)).toEqual(['critical']);
    expect(db.health()).toMatchObject({ primary: undefined, hosts: [{ role: 'offline' }] });
    serve();
    await untilLevel(db, 'healthy');
  },
);

const IS_WRITABLE = /read_only/;

/** Refuses all writes, as with `default_transaction_read_only`. */
function refuseWrites(server: FakePostgres): () => void {
  const undo = [
    server.reply(IS_WRITABLE, { rows: [{ standby: false, read_only: 'on' }] }),
    server.reply(/^insert/, { error: '25006' }),
  ];
  return () => undo.forEach((each) => each());
}

test.each(traffic)(
  'a primary that refuses every write, called for %s: critical, and never less until it accepts them',
  async (_, call) => {
    const { db, server } = await one();
    keepCalling(db, call);
    const accept = refuseWrites(server);
    await untilLevel(db, 'critical');
    expect(await levelsFor(db, 5, server)).toEqual(['critical']);
    accept();
    await untilLevel(db, 'healthy');
  },
);

test.each(traffic)(
  'a primary with a replica that refuses every write, called for %s: critical until it accepts them',
  async (_, call) => {
    const nodes = [await startNode('one', 'primary'), await startNode('two', 'standby')] as const;
    for (const node of nodes) opened.add(() => node.close());
    const db = createDatabase({ hosts: nodes.map(({ url }) => url), ...PROBES });
    opened.add(() => db.close({ deadlineMs: 0 }));
    await db.query('insert into t');
    await untilRoles(db, ['primary', 'standby']);
    keepCalling(db, call);
    const accept = refuseWrites(nodes[0]);
    await untilLevel(db, 'critical');
    expect(await levelsFor(db, 5, nodes[0])).toEqual(['critical']);
    accept();
    await untilLevel(db, 'healthy');
  },
);

test('reads that are served do not put off the probe of a primary that refuses every write', async () => {
  const clock = createFakeClock();
  const { db, server } = await opened.database({ clock });
  await db.query('select 1');
  expect(db.health().level).toBe('healthy');
  refuseWrites(server);
  for (let reads = 0; reads < 11; reads += 1) {
    await clock.advance(100);
    await db.query('select 1');
  }
  await untilLevel(db, 'critical');
  expect(db.health().hosts).toMatchObject([{ role: 'standby' }]);
});

test('the first refused write has the host probed at once', async () => {
  const server = await startNode('one', 'primary');
  opened.add(() => server.close());
  const db = createDatabase({ hosts: server.url, probeIntervalMs: 60_000 });
  opened.add(() => db.close({ deadlineMs: 0 }));
  await db.query('select 1');
  expect(db.health().level).toBe('healthy');
  refuseWrites(server);
  await write(db).catch(() => undefined);
  while (db.health().level !== 'critical') await nextTurn();
  expect(db.health().hosts).toMatchObject([{ role: 'standby' }]);
});

test('a write refused by the read-only transaction of the caller alone is no outage', async () => {
  const { db, server } = await one();
  server.reply(/^insert/, { error: '25006' });
  keepCalling(db, write);
  expect(await levelsFor(db, 5, server)).toEqual(['healthy']);
});

/** The last session is that of the probe. */
function loseAllOfPool(server: FakePostgres, probe: number): void {
  for (let session = 1; session < probe; session += 1) server.drop({ session });
}

test.each(
  ['28P01', '53300', '57P03', '3D000'].flatMap((state) =>
    traffic.slice(0, 3).map(([name, call]) => [state, name, call] as const),
  ),
)(
  'new connections are refused with %s while the probe has its old one, called for %s: critical',
  async (state, name, call) => {
    const { db, server } = await one();
    await levelsFor(db, 1, server);
    server.setBehavior({ reception: { error: state } });
    loseAllOfPool(server, 2);
    // The first caller finds out, and nobody does where nobody calls.
    if (call === undefined) await read(db).catch(() => undefined);
    keepCalling(db, call);
    await untilLevel(db, 'critical');
    const levels = new Set<string>();
    for (let round = 0; round < 300; round += 1) {
      levels.add(db.health().level);
      await nextTurn();
    }
    expect([name, ...levels]).toEqual([name, 'critical']);
    server.setBehavior({ reception: 'serve' });
    await untilLevel(db, 'healthy');
  },
);

test('a cluster whose primary refuses new connections is critical, though its probe has an old one', async () => {
  const nodes = [await startNode('one', 'primary'), await startNode('two', 'standby')] as const;
  for (const node of nodes) opened.add(() => node.close());
  const db = createDatabase({ hosts: nodes.map(({ url }) => url), ...PROBES });
  opened.add(() => db.close({ deadlineMs: 0 }));
  await untilLevel(db, 'healthy');
  nodes[0].setBehavior({ reception: { error: '28P01' } });
  keepCalling(db, write);
  await untilLevel(db, 'critical');
  expect(await levelsFor(db, 5, nodes[1])).toEqual(['critical']);
  nodes[0].setBehavior({ reception: 'serve' });
  await untilLevel(db, 'healthy');
});

test('a server that is only full, so that the probe gets no connection, is no outage', async () => {
  const { db, server } = await one();
  server.setBehavior({ maxConnections: 1 });
  const before = server.connectionsTotal;
  const levels = new Set<string>();
  while (server.connectionsTotal < before + 3) {
    levels.add(db.health().level);
    await nextTurn();
  }
  expect([...levels]).toEqual(['healthy']);
});
