/**
 * Measures queries, batches, session reads, and the recovery after kill -9, next to pg.Pool and postgres.js on
 * the same server, alternating in one run. Needs the development dependencies `pg` and `postgres`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'pg';
import postgres from 'postgres';
import { type Database, type Session, createDatabase } from '@holdfast/database';
import { type ServerHandle, openStage } from '@holdfast/stage';
import { recovery, recoveryTable } from './database/recovery.ts';
import { sideBySide } from './database/rounds.ts';

const MAX = 10;
const ROUND_QUERIES = 1_000;
const BATCH = 10;
const READERS = 10;
const BOUNDS = { acquireTimeoutMs: 30_000, queryTimeoutMs: 30_000 };

const stage = await openStage({ mode: 'local', postgres: { replica: true } });
const { primary, replica } = stage.postgres;

try {
  await withPeers(straight(primary), async (peers) => {
    await queries(peers);
    await batches(peers);
  });
  await reads();
  await withPeers(primary.url, async ({ ours, pool, sql }) => {
    const recoveries = [
      await recovery(primary, 'holdfast', () => ours.query('select 1', [], { idempotent: true })),
      await recovery(primary, 'pg.Pool', () => pool.query('select 1')),
      await recovery(primary, 'postgres.js', () => sql.unsafe('select 1')),
    ];
    process.stdout.write(recoveryTable(recoveries));
  });
} finally {
  await stage.close();
}
// Peers may still hold a dead connection.
process.exit();

interface Peers {
  readonly ours: Database;
  readonly pool: Pool;
  readonly sql: postgres.Sql;
}

/** Rates are measured without the stage's proxy, which would add to this process's CPU time. */
function straight(server: ServerHandle): string {
  const url = new URL(server.url);
  url.hostname = server.direct.host;
  url.port = String(server.direct.port);
  return url.href;
}

async function withPeers(url: string, work: (peers: Peers) => Promise<void>): Promise<void> {
  const ours = createDatabase({ hosts: url, max: MAX, ...BOUNDS });
  const pool = new Pool({ connectionString: url, max: MAX });
  // Without a listener the first lost idle connection ends the process.
  pool.on('error', () => undefined);
  const sql = postgres(url, { max: MAX });
  try {
    await work({ ours, pool, sql });
  } finally {
    await ours.end({ deadlineMs: 1_000 });
    await Promise.race([Promise.all([pool.end(), sql.end({ timeout: 1 })]), pause(2_000)]);
  }
}

async function queries({ ours, pool, sql }: Peers): Promise<void> {
  await show('select 1', ROUND_QUERIES, [
    { name: 'holdfast', run: () => ours.query('select 1') },
    { name: 'pg.Pool', run: () => pool.query('select 1') },
    { name: 'postgres.js', run: () => sql.unsafe('select 1') },
  ]);
  await show('select $1::int', ROUND_QUERIES, [
    { name: 'holdfast', run: () => ours.query('select $1::int', [1]) },
    { name: 'pg.Pool', run: () => pool.query('select $1::int', [1]) },
    { name: 'postgres.js', run: () => sql`select ${1}::int` },
  ]);
}

async function batches({ ours, pool, sql }: Peers): Promise<void> {
  const statements = Array.from({ length: BATCH }, () => ({ text: 'select 1' }));
  const texts = statements.map(({ text }) => text);
  await show(`${BATCH} statements`, ROUND_QUERIES / BATCH, [
    { name: 'holdfast batch', run: () => ours.batch(statements) },
    { name: 'holdfast one by one', run: () => Promise.all(texts.map((text) => ours.query(text))) },
    { name: 'pg.Pool', run: () => Promise.all(texts.map((text) => pool.query(text))) },
    { name: 'postgres.js', run: () => Promise.all(texts.map((text) => sql.unsafe(text))) },
  ]);
}

/** Measures the cost of reading one's own writes once the replica has them; the peers do not check that. */
async function reads(): Promise<void> {
  const hosts = [straight(primary), straight(replica)];
  const ours = createDatabase({ hosts, max: MAX, ...BOUNDS });
  const pool = new Pool({ connectionString: straight(replica), max: MAX });
  try {
    await ours.query('create table counters (id int primary key, value int not null)');
    await ours.query('insert into counters select id, 0 from generate_series(1, 10) id');
    const sessions = await Promise.all(Array.from({ length: READERS }, () => written(ours)));
    const sql = 'select value from counters where id = 1';
    let turn = 0;
    await show('a read on the replica', ROUND_QUERIES, [
      {
        name: 'holdfast session.read',
        run: () => sessionAt(sessions, (turn += 1)).read((reader) => reader.query(sql)),
      },
      {
        name: "holdfast read('any')",
        run: () => ours.read('any', (reader) => reader.query(sql)),
      },
      { name: 'pg.Pool, unchecked', run: () => pool.query(sql) },
    ]);
    const { replicaReads, primaryFallbacks } = ours.getStats();
    process.stdout.write(`${replicaReads} reads on the replica, ${primaryFallbacks} elsewhere\n\n`);
  } finally {
    await ours.end({ deadlineMs: 1_000 });
    await pool.end();
  }
}

async function written(ours: Database): Promise<Session> {
  const session = ours.session();
  await session.query('update counters set value = value + 1 where id = 1');
  return session;
}

function sessionAt(sessions: readonly Session[], turn: number): Session {
  const session = sessions[turn % sessions.length];
  if (session === undefined) throw new RangeError('no sessions');
  return session;
}

async function show(...given: Parameters<typeof sideBySide>): Promise<void> {
  process.stdout.write(`${await sideBySide(...given)}\n`);
}
