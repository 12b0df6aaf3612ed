import { expect } from '@jest/globals';
import { BatchFailedError, type Database } from '@holdfast/database';
import { Pool } from '@holdfast/database/pg';
import {
  type PostgresFixture,
  openPostgresFixture,
  untilTrue,
} from '../../../src/database/postgres-fixture.ts';
import { scenario } from '../../../src/database/scenario.ts';

type Send = (database: Database, text: string) => Promise<unknown>;

const sends: Readonly<Record<string, Send>> = {
  query: (database, text) => database.query(text),
  session: (database, text) => database.session().query(text),
  lease: async (database, text) => {
    const lease = await database.acquire();
    return lease.query(text).finally(() => lease.release());
  },
  batch: (database, text) => database.batch([{ text }]),
};

/** Each commits `'kept'`, once, before it fails. */
const partly = [
  "begin; insert into w values ('kept'); commit; select 1/0",
  "insert into w values ('kept'); commit; select 1/0",
  "begin; insert into w values ('kept'); commit and chain; select 1/0",
  "do $$ begin insert into w values ('kept'); commit; perform 1/0; end $$",
  'call fails()',
];

/** Each commits nothing. */
const nothing = [
  "insert into w values ('kept'), (null)",
  "insert into w values ('kept'); select 1/0",
  "begin; insert into w values ('kept'); select 1/0",
  "with i as (insert into w values ('kept') returning v) select 1/count(nullif(v, v)) from i",
];

const FAILS = `create procedure fails() language plpgsql as $$
  begin insert into w values ('kept'); commit; perform 1/0; end $$`;
const REFUSED = `create procedure refused() language plpgsql as $$
  begin insert into w values ('kept'); commit; set transaction read only; insert into w values ('no'); end $$`;

async function openTable(): Promise<PostgresFixture> {
  const fixture = await openPostgresFixture();
  await fixture.ask('create table w (v text not null)');
  await fixture.ask(FAILS);
  await fixture.ask(REFUSED);
  return fixture;
}

async function takeRows({ ask }: PostgresFixture): Promise<number> {
  const [row] = await ask(`with d as (delete from w returning 1) select count(*)::int as n from d`);
  return Number(row?.['n']);
}

interface Failure {
  readonly outcome?: string;
  readonly sqlState?: string;
  readonly code?: string;
}

function failureOf(call: Promise<unknown>): Promise<Failure> {
  return call.then(
    () => ({}),
    (error: Failure) => error,
  );
}

scenario(
  {
    promise:
      'a statement that failed is called not applied only where the server kept nothing of it',
    fault: 'division by zero, before and after an inner commit; query, session, lease and batch',
  },
  openTable,
  async (fixture) => {
    const database = fixture.database({ max: 2 });
    let accepted = 0;
    for (const [texts, outcome, rows] of [
      [partly, 'unknown', 1],
      [nothing, 'not-applied', 0],
    ] as const) {
      for (const text of texts) {
        for (const [by, send] of Object.entries(sends)) {
          const failed = await failureOf(send(database, text));
          const seen = { by, text, outcome: failed.outcome, rows: await takeRows(fixture) };
          expect(seen).toEqual({ by, text, outcome, rows });
          accepted += 1;
        }
      }
    }
    return { accepted, delivered: accepted };
  },
);

scenario(
  {
    promise: 'a statement that has committed a part is not sent again after 25006',
    fault: '25006 after an inner commit; one host, two hosts, and the pool of the pg interface',
  },
  openTable,
  async (fixture) => {
    const { primary } = fixture;
    const second = await fixture.proxy();
    const texts = [
      "insert into w values ('kept'); commit; begin read only; insert into w values ('no')",
      'call refused()',
    ];
    let accepted = 0;
    let rows = 0;
    for (const hosts of [primary.url, [primary.url, second.url]]) {
      const database = fixture.database({ hosts, probeIntervalMs: 100 });
      const pool = new Pool({ connectionString: primary.url, max: 2 }, { hosts });
      for (const text of texts) {
        for (const send of [...Object.values(sends), () => pool.query(text)]) {
          const error = await failureOf(send(database, text));
          // pg's own error has it as its code.
          expect(error.sqlState ?? error.code).toBe('25006');
          accepted += 1;
          const found = await takeRows(fixture);
          expect({ text, hosts, found }).toEqual({ text, hosts, found: 1 });
          rows += found;
        }
      }
      await pool.end();
    }
    return { accepted, delivered: rows, duplicated: rows - accepted };
  },
);

const STATEMENTS = 20;
const PACE_SECONDS = 0.05;

scenario(
  {
    promise: 'a batch past its deadline goes no further, and keeps the results that it has',
    fault: `${STATEMENTS} writes of ${PACE_SECONDS} s each, a deadline of 0.4 s`,
  },
  openTable,
  async (fixture) => {
    const database = fixture.database({ max: 1 });
    const batch = Array.from({ length: STATEMENTS }, (_, at) => ({
      text: `insert into w select $1 from pg_sleep(${PACE_SECONDS})`,
      values: [String(at)],
    }));
    await database.query('select 1');
    const error: unknown = await database.batch(batch, { timeoutMs: 400 }).catch((e: unknown) => e);
    if (!(error instanceof BatchFailedError)) throw error;
    const known = error.results.filter(({ status }) => status === 'fulfilled').length;
    expect(error.outcome).toBe('unknown');
    expect(known).toBeGreaterThan(0);
    const isOver = `select count(*)::int as n from pg_stat_activity where query like 'insert into w%'`;
    await untilTrue(async () => (await fixture.ask(isOver))[0]?.['n'] === 0);
    const rows = await fixture.ask('select v::int as v from w order by 1');
    // Without holes, and the one that ran at the deadline, or its successor, may have ended.
    expect(rows.map(({ v }) => v)).toEqual(rows.map((_, at) => at));
    expect(rows.length).toBeLessThanOrEqual(known + 2);
    return {
      accepted: known,
      delivered: Math.min(known, rows.length),
      note: `${rows.length} rows`,
    };
  },
);
