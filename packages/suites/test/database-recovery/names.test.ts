import { expect } from '@jest/globals';
import type { Session } from '@holdfast/database';
import { systemClock } from '@holdfast/foundation';
import {
  type ReplicatedPostgresFixture,
  openReplicatedPostgresFixture,
  untilTrue,
} from '../../src/database/postgres-fixture.ts';
import { type DatabaseOutcome, scenario } from '../../src/database/scenario.ts';
import { type SharedName, openSharedName } from '../../src/database/shared-name.ts';

const SESSIONS = 700;
const COUNT = 'select count(*)::int as count from t where session = $1';

/** Whether a session sees what it has just written, and then goes on seeing it. */
async function seesItself(session: Session, id: number): Promise<boolean> {
  await session.query('insert into t values ($1)', [id]);
  for (let read = 0; read < 3; read += 1) {
    const { rows } = await session.read((reader) => reader.query(COUNT, [id]));
    if (rows[0]?.['count'] !== 1) return false;
  }
  return true;
}

/** Writes and reads in sessions, some at a time, while the replica pauses its replay now and then. */
async function runSessions(
  fixture: ReplicatedPostgresFixture,
  hosts: string | readonly string[],
): Promise<DatabaseOutcome> {
  const { ask, replica } = fixture;
  const database = fixture.database({ hosts, max: 12, probeIntervalMs: 50, replicaWaitMs: 20 });
  let seen = 0;
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < SESSIONS) {
      next += 1;
      if (await seesItself(database.session(), next)) seen += 1;
    }
  };
  const isOver = (): boolean => next >= SESSIONS;
  const pauses = (async () => {
    while (!isOver()) {
      const verb = next % 3 === 0 ? 'resume' : 'pause';
      await ask(`select pg_wal_replay_${verb}()`, [], replica);
    }
    await ask('select pg_wal_replay_resume()', [], replica);
  })();
  await Promise.all([...Array.from({ length: 8 }, runner), pauses]);
  const { replicaReads } = database.getStats();
  await database.close();
  return { accepted: SESSIONS, delivered: seen, note: `${replicaReads} reads on a replica` };
}

async function openTable(): Promise<ReplicatedPostgresFixture> {
  const fixture = await openReplicatedPostgresFixture();
  await fixture.ask('create table t (session int)');
  const there = `select count(*)::int as count from pg_class where relname = 't'`;
  await untilTrue(async () => (await fixture.ask(there, [], fixture.replica))[0]?.['count'] === 1);
  return fixture;
}

scenario(
  {
    promise:
      'a session sees its own writes though one name of the cluster leads to several servers',
    fault: 'the reader endpoint leads to the primary and a replica in turns; replay pauses',
  },
  openTable,
  async (fixture) => {
    const { primary, replica } = fixture;
    const readers = await openSharedName(replica, primary);
    try {
      return await runSessions(fixture, [primary.url, readers.url]);
    } finally {
      await readers.close();
    }
  },
);

scenario(
  {
    promise:
      'a write through a name that led to a standby succeeds as soon as the name leads to the primary',
    fault: 'the only name leads to a standby, then to the primary again',
  },
  openTable,
  async (fixture) => {
    const name = await openSharedName(fixture.replica);
    try {
      return await writeThrough(name, fixture);
    } finally {
      await name.close();
    }
  },
);

/** As after a failover that was undone: the connections stay open, and lead to a standby. */
async function writeThrough(
  name: SharedName,
  fixture: ReplicatedPostgresFixture,
): Promise<DatabaseOutcome> {
  const database = fixture.database({ hosts: name.url, max: 5 });
  const leases = await Promise.all([1, 2, 3, 4, 5].map(() => database.acquire()));
  for (const lease of leases) lease.release();
  const write = (): Promise<boolean> =>
    database.query('insert into t values (1)').then(
      () => true,
      () => false,
    );
  expect(await write()).toBe(false);
  name.leadTo(fixture.primary);
  const movedAtMs = systemClock.now();
  await untilTrue(write);
  const recoveredAfterMs = systemClock.now() - movedAtMs;
  expect(recoveredAfterMs).toBeLessThan(2_000);
  const written = await Promise.all([1, 2, 3, 4, 5].map(write));
  return { accepted: 5, delivered: written.filter(Boolean).length, recoveredAfterMs };
}
