import { expect } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { Database } from '@holdfast/database';
import { LEDGER_SQL, LedgerTable, insertEntry } from '../../src/database/ledger-table.ts';
import {
  DOWNTIME_MS,
  CALLERS,
  SERVED_BEHIND_POOLER_WITHIN_MS,
  runDatabaseOutage,
} from '../../src/database/outage.ts';
import {
  type PoolerFixture,
  openPoolerFixture,
  untilTrue,
} from '../../src/database/postgres-fixture.ts';
import { type DatabaseOutcome, scenario } from '../../src/database/scenario.ts';

type Mode = PoolerFixture['pooler']['mode'];

const open = (mode: Mode) => (): Promise<PoolerFixture> => openPoolerFixture(mode);

const POSTGRES_AWAY = `kill -9 of the Postgres, start after ${DOWNTIME_MS} ms, ${CALLERS} callers`;
const POOLER_AWAY = `kill -9 of the PgBouncer, start after ${DOWNTIME_MS} ms, ${CALLERS} callers`;
const WRITES = 'kill -9 of the Postgres under writes, three times';

function killPostgres(fixture: PoolerFixture): Promise<DatabaseOutcome> {
  return runDatabaseOutage(fixture, {
    servedWithinMs: SERVED_BEHIND_POOLER_WITHIN_MS,
    inject: ({ primary }) => primary.kill(),
    recover: ({ primary }) => primary.start(),
  });
}

function killPooler(fixture: PoolerFixture): Promise<DatabaseOutcome> {
  return runDatabaseOutage(fixture, {
    servedWithinMs: SERVED_BEHIND_POOLER_WITHIN_MS,
    inject: () => fixture.pooler.kill(),
    recover: () => fixture.pooler.start(),
  });
}

scenario(
  {
    promise: 'behind a PgBouncer in session mode no idempotent read fails while Postgres is away',
    fault: POSTGRES_AWAY,
  },
  open('session'),
  killPostgres,
);

scenario(
  {
    promise:
      'behind a PgBouncer in session mode no idempotent read fails while the PgBouncer is away',
    fault: POOLER_AWAY,
  },
  open('session'),
  killPooler,
);

scenario(
  {
    promise: 'behind a PgBouncer in session mode the outcome of every write is told truly',
    fault: WRITES,
  },
  open('session'),
  writeThroughKills,
);

scenario(
  {
    promise:
      'behind a PgBouncer in transaction mode no idempotent read fails while Postgres is away',
    fault: POSTGRES_AWAY,
  },
  open('transaction'),
  killPostgres,
);

scenario(
  {
    promise:
      'behind a PgBouncer in transaction mode no idempotent read fails while the PgBouncer is away',
    fault: POOLER_AWAY,
  },
  open('transaction'),
  killPooler,
);

scenario(
  {
    promise: 'behind a PgBouncer in transaction mode the outcome of every write is told truly',
    fault: WRITES,
  },
  open('transaction'),
  writeThroughKills,
);

scenario(
  {
    promise: 'behind a PgBouncer in statement mode no idempotent read fails while Postgres is away',
    fault: POSTGRES_AWAY,
  },
  open('statement'),
  killPostgres,
);

scenario(
  {
    promise:
      'behind a PgBouncer in statement mode no idempotent read fails while the PgBouncer is away',
    fault: POOLER_AWAY,
  },
  open('statement'),
  killPooler,
);

scenario(
  {
    promise: 'behind a PgBouncer in statement mode the outcome of every write is told truly',
    fault: WRITES,
  },
  open('statement'),
  writeThroughKills,
);

/** Statement mode has no transactions, so there writes are single statements. */
async function writeThroughKills(fixture: PoolerFixture): Promise<DatabaseOutcome> {
  const { primary, ask, pooler } = fixture;
  await ask(LEDGER_SQL);
  const database = fixture.database({ max: 6, queryTimeoutMs: 20_000 });
  const ledger = new LedgerTable();
  const stopping = new AbortController();
  const write = (entry: number): Promise<unknown> =>
    pooler.mode === 'statement'
      ? insertEntry(database, entry)
      : database.transaction((tx) => insertEntry(tx, entry));
  const writers = Array.from({ length: 6 }, async () => {
    while (!stopping.signal.aborted) await ledger.write(write);
  });
  for (let kill = 1; kill <= 3; kill += 1) {
    const before = ledger.acknowledged;
    await untilTrue(() => ledger.acknowledged > before + 100);
    await primary.kill();
    await primary.start();
  }
  const before = ledger.acknowledged;
  await untilTrue(() => ledger.acknowledged > before + 100);
  stopping.abort();
  await Promise.all(writers);
  const audit = await ledger.audit(ask);
  expect(audit.denied).toEqual([]);
  return {
    accepted: audit.acknowledged,
    delivered: audit.acknowledged - audit.lost.length,
    duplicated: audit.duplicated.length,
    note: `${audit.unknown.written} of unknown outcome, ${audit.unknown.there} of them there`,
  };
}

/** Counts what was tried and what came out as documented. */
async function countHolding(
  checks: readonly ((database: Database) => Promise<void>)[],
  fixture: PoolerFixture,
): Promise<DatabaseOutcome> {
  for (const check of checks) {
    const database = fixture.database({ max: 4, queryTimeoutMs: 5_000 });
    await check(database);
    await database.close();
  }
  return { accepted: checks.length, delivered: checks.length };
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}

const cancels = async (database: Database): Promise<void> => {
  const beganMs = systemClock.now();
  const slow = failureOf(database.query('select pg_sleep(20)', [], { timeoutMs: 300 }));
  expect(await slow).toMatchObject({ code: 'DATABASE_QUERY_TIMEOUT' });
  const running = `select count(*)::int as count from pg_stat_activity where query = 'select pg_sleep(20)' and state = 'active'`;
  await untilTrue(async () => (await database.query(running)).rows[0]?.['count'] === 0);
  expect(systemClock.now() - beganMs).toBeLessThan(5_000);
};

const runsBatches = async (database: Database): Promise<void> => {
  const results = await database.batch([
    { text: 'select 1 as n' },
    { text: 'select $1::int as n', values: [2] },
  ]);
  expect(results.map(({ rows }) => rows[0]?.['n'])).toEqual([1, 2]);
};

const runsTransactions = async (database: Database): Promise<void> => {
  const { token } = await database
    .transaction(async (tx) => {
      await tx.query('create table if not exists t (v int)');
      await tx.transaction((inner) => inner.query('insert into t values (1)'));
      await expect(tx.query('select 1/0')).rejects.toMatchObject({ sqlState: '22012' });
      throw new Error('rolled back');
    })
    .catch(() => database.transaction((tx) => tx.query('select 1')));
  const read = await database.read({ after: token }, (reader) => reader.query('select 1 as one'));
  expect(read.rows).toEqual([{ one: 1 }]);
  const session = database.session();
  await session.query('select 1');
  expect((await session.read((reader) => reader.query('select 2 as two'))).rows).toEqual([
    { two: 2 },
  ]);
};

const keepsNames = async (database: Database): Promise<void> => {
  const wrong = failureOf(database.query({ name: 'answer', text: 'selec 1' }));
  expect(await wrong).toMatchObject({ sqlState: '42601' });
  for (let times = 0; times < 10; times += 1) {
    const { rows } = await database.query({
      name: 'answer',
      text: 'select $1::int as n',
      values: [times],
    });
    expect(rows).toEqual([{ n: times }]);
  }
};

const keepsSessions = async (database: Database): Promise<void> => {
  const lease = await database.acquire();
  await lease.query("set search_path = 'mine'");
  await lease.query('select pg_advisory_lock(7)');
  await lease.query('select pg_sleep(0.05)');
  expect((await lease.query('show search_path')).rows).toEqual([{ search_path: 'mine' }]);
  expect((await lease.query('select pg_advisory_unlock(7) as held')).rows).toEqual([
    { held: true },
  ]);
  lease.release();
};

scenario(
  {
    promise: 'behind a PgBouncer in session mode all features hold',
    fault: 'none: transactions, tokens, names, settings, locks, batches, cancels',
  },
  open('session'),
  (fixture) =>
    countHolding([cancels, runsBatches, runsTransactions, keepsNames, keepsSessions], fixture),
);

scenario(
  {
    promise:
      'behind a PgBouncer in transaction mode transactions, tokens, batches and cancels hold',
    fault: 'none: each transaction may run on another connection to Postgres',
  },
  open('transaction'),
  (fixture) => countHolding([cancels, runsBatches, runsTransactions], fixture),
);

scenario(
  {
    promise:
      'behind a PgBouncer in statement mode single statements hold, and transactions are refused',
    fault: 'none: each statement may run on another connection to Postgres',
  },
  open('statement'),
  (fixture) => countHolding([cancels, runsBatches, refusesTransactions], fixture),
);

async function refusesTransactions(database: Database): Promise<void> {
  const refused = database.transaction((tx) => tx.query('select 1'), { timeoutMs: 1_000 });
  expect(await failureOf(refused)).toMatchObject({ outcome: 'not-applied' });
  expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
}
