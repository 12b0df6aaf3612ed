import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '@holdfast/database';
import {
  type PostgresFixture,
  openPostgresFixture,
} from '../../../src/database/postgres-fixture.ts';

let fixture: PostgresFixture;
beforeAll(async () => {
  fixture = await openPostgresFixture();
});
afterAll(() => fixture.close());

const LOCK = 17;
/** What a session has, each with what its next caller sees of it. */
const states: readonly [name: string, make: string, see: string][] = [
  ['a setting', "set search_path = 'mine'", "select current_setting('search_path') = 'mine'"],
  [
    'an advisory lock',
    `select pg_advisory_lock(${LOCK})`,
    `select exists (select 1 from pg_locks where locktype = 'advisory' and objid = ${LOCK})`,
  ],
  [
    'a temporary table',
    'create temporary table left_over (a int)',
    "select to_regclass('pg_temp.left_over') is not null",
  ],
  ['LISTEN', 'listen news', 'select exists (select 1 from pg_listening_channels())'],
  [
    'a cursor WITH HOLD',
    'declare kept cursor with hold for select 1',
    'select exists (select 1 from pg_cursors)',
  ],
  [
    'a prepared statement',
    'prepare mine as select 1',
    "select exists (select 1 from pg_prepared_statements where name = 'mine')",
  ],
];

test.each(
  states.flatMap(([name, make, see]) =>
    [true, false].map((resetOnRelease) => [name, resetOnRelease, make, see] as const),
  ),
)(
  '%s of a released connection with resetOnRelease %s: the next caller sees it only without',
  async (_, resetOnRelease, make, see) => {
    const database = fixture.database({ max: 1, resetOnRelease });
    const lease = await database.acquire();
    await lease.query(make);
    lease.release();
    const { rows } = await database.query<Record<string, boolean>>(see);
    expect(Object.values(rows[0] ?? {})).toEqual([!resetOnRelease]);
    await database.close();
  },
);

const calls: readonly [string, (database: Database, text: string) => Promise<unknown>][] = [
  ['query', (database, text) => database.query(text)],
  ['query with an error', (database, text) => database.query(`${text}; commit; select 1/0`)],
  ['query in a comment', (database, text) => database.query(`/* a; */ ${text} -- b`)],
  ['batch', (database, text) => database.batch([{ text: 'select 1' }, { text }])],
  ['read', (database, text) => database.read('strong', (reader) => reader.query(text))],
  ['session', (database, text) => database.session().query(text)],
];
const more: typeof states = [
  [
    'a setting by a function',
    "select set_config('search_path', 'mine', false)",
    "select current_setting('search_path') = 'mine'",
  ],
  [
    'a lock that was tried',
    `select pg_try_advisory_lock(${LOCK})`,
    `select exists (select 1 from pg_locks where locktype = 'advisory' and objid = ${LOCK})`,
  ],
  [
    'a setting in a transaction',
    "begin; set search_path = 'mine'; commit",
    "select current_setting('search_path') = 'mine'",
  ],
  [
    'a table by select',
    'select 1 as a into temp left_over',
    "select to_regclass('pg_temp.left_over') is not null",
  ],
  [
    'a setting in a block',
    "do $$ begin perform set_config('search_path', 'mine', false); end $$",
    "select current_setting('search_path') = 'mine'",
  ],
];

test.each(calls)('with resetOnRelease the next caller sees nothing of a %s', async (_, call) => {
  const database = fixture.database({ max: 1, resetOnRelease: true });
  const seen: string[] = [];
  for (const [name, make, see] of [...states, ...more]) {
    await call(database, make).catch(() => undefined);
    const { rows } = await database.query<Record<string, boolean>>(see);
    if (Object.values(rows[0] ?? {})[0] !== false) seen.push(name);
  }
  expect(seen).toEqual([]);
  await database.close();
});

test('after resetOnRelease the named statements of the pool itself are prepared again', async () => {
  const database = fixture.database({ max: 1, resetOnRelease: true });
  const named = { name: 'doubled', text: 'select $1::int * 2 as doubled' };
  for (const value of [1, 2, 3]) {
    const lease = await database.acquire();
    expect((await lease.query({ ...named, values: [value] })).rows).toEqual([
      { doubled: 2 * value },
    ]);
    lease.release();
  }
  await database.close();
});
