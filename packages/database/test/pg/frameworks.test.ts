import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { drizzle } from 'drizzle-orm/node-postgres';
import { eq } from 'drizzle-orm';
import { integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { type Generated, Kysely, PostgresDialect } from 'kysely';
import { Pool } from '@holdfast/database/pg';
import { type Stage, openStage } from '@holdfast/stage';

let stage: Stage<{ mode: 'local'; postgres: true }>;
let pool: Pool;

beforeAll(async () => {
  stage = await openStage({ mode: 'local', postgres: true });
  pool = new Pool({
    connectionString: stage.postgres.primary.url,
    max: 3,
    application_name: 'holdfast',
  });
  await pool.query(
    'create table people (id int primary key generated always as identity, name text unique not null, at timestamptz)',
  );
});

afterAll(async () => {
  await pool.end();
  await stage.close();
});

interface Schema {
  people: { id: Generated<number>; name: string; at: Date | null };
}

test('Kysely queries, commits and rolls back on it, and its errors keep their SQLSTATE', async () => {
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  await db.insertInto('people').values({ name: 'kysely' }).execute();
  const found = await db.selectFrom('people').select('name').where('name', '=', 'kysely').execute();
  expect(found).toEqual([{ name: 'kysely' }]);

  await db
    .transaction()
    .execute(async (tx) => tx.insertInto('people').values({ name: 'kept' }).execute());
  const failing = db.transaction().execute(async (tx) => {
    await tx.insertInto('people').values({ name: 'dropped' }).execute();
    await tx.insertInto('people').values({ name: 'kept' }).execute();
  });
  await expect(failing).rejects.toMatchObject({ code: '23505', constraint: 'people_name_key' });
  const names = await db
    .selectFrom('people')
    .select('name')
    .where('name', 'in', ['kept', 'dropped'])
    .execute();
  expect(names).toEqual([{ name: 'kept' }]);
});

test('Drizzle queries, commits and rolls back on it, with its own parsers', async () => {
  const people = pgTable('people', {
    id: integer().primaryKey().generatedAlwaysAsIdentity(),
    name: text().notNull(),
    at: timestamp({ withTimezone: true }),
  });
  const db = drizzle(pool);
  const at = new Date('2026-01-02T03:04:05.678Z');
  await db.insert(people).values({ name: 'drizzle', at });
  const [row] = await db.select({ at: people.at }).from(people).where(eq(people.name, 'drizzle'));
  expect(row).toEqual({ at });

  await db.transaction(async (tx) => tx.insert(people).values({ name: 'drizzle kept' }));
  const failing = db.transaction(async (tx) => {
    await tx.insert(people).values({ name: 'drizzle dropped' });
    tx.rollback();
  });
  await expect(failing).rejects.toMatchObject({ message: 'Rollback' });
  const names = await db
    .select({ name: people.name })
    .from(people)
    .where(eq(people.name, 'drizzle dropped'));
  expect(names).toEqual([]);
  expect(pool.totalCount).toBe(pool.idleCount);
});

test('callbacks work like promises', async () => {
  const rows = await new Promise((resolve, reject) => {
    pool.query('select $1::int as n', [4], (error, result) => {
      if (error) reject(error);
      else resolve(result.rows);
    });
  });
  expect(rows).toEqual([{ n: 4 }]);
  const pid = await new Promise((resolve, reject) => {
    pool.connect((error, client, release) => {
      if (error !== undefined || client === undefined) {
        reject(error);
        return;
      }
      client.query('select pg_backend_pid() as pid', [], (failed, result) => {
        release();
        if (failed) reject(failed);
        else resolve(result.rows[0]?.pid);
      });
    });
  });
  expect(typeof pid).toBe('number');
});

test('an application without listeners does not notice killed connections', async () => {
  await Promise.all([1, 2, 3].map(() => pool.query('select pg_sleep(0.01)')));
  const { holdfast } = pool;
  const { rows } = await holdfast.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and application_name = $1',
    ['holdfast'],
  );
  expect(rows.length).toBeGreaterThan(0);
  const again = await holdfast.query('select 1 as one', [], { idempotent: true });
  expect(again.rows).toEqual([{ one: 1 }]);
});
