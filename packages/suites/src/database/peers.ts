import { createDatabase } from '@holdfast/database';
import type { OpenPool } from '@holdfast/database/probes';
import { Pool } from 'pg';
import postgres from 'postgres';

/** pg.Pool with all its timeouts set, used as its documentation shows. */
const pgPool: OpenPool = ({ url, max, timeoutMs, listens }) => {
  const pool = new Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  if (listens) pool.on('error', () => undefined);
  return {
    query: async (sql, values) =>
      (await pool.query<object>(sql, [...(values ?? [])])).rows.map(asRow),
    async acquire() {
      const client = await pool.connect();
      return {
        query: async (sql, values) =>
          (await client.query<object>(sql, [...(values ?? [])])).rows.map(asRow),
        release: () => client.release(),
      };
    },
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await work(async (sql, values) =>
          (await client.query<object>(sql, [...(values ?? [])])).rows.map(asRow),
        );
        await client.query('commit');
      } catch (error) {
        await client.query('rollback').catch(() => undefined);
        throw error;
      } finally {
        client.release();
      }
    },
    end: () => pool.end(),
  };
};

/** postgres.js, which has a timeout for connecting only. */
const postgresJs: OpenPool = ({ url, max, timeoutMs }) => {
  const sql = postgres(url, { max, connect_timeout: timeoutMs / 1_000, onnotice: () => undefined });
  const ask = async (
    to: Pick<typeof sql, 'unsafe'>,
    text: string,
    values: readonly unknown[] | undefined,
  ): Promise<Record<string, unknown>[]> =>
    (await to.unsafe<Record<string, unknown>[]>(text, values?.map(asParameter))).map(asRow);
  return {
    query: (text, values) => ask(sql, text, values),
    async acquire() {
      const link = await sql.reserve();
      return { query: (text, values) => ask(link, text, values), release: () => link.release() };
    },
    transaction: (work) => sql.begin((tx) => work((text, values) => ask(tx, text, values))),
    end: () => sql.end({ timeout: timeoutMs / 1_000 }),
  };
};

/** Our pool, with only the options that the others get too. */
const holdfast: OpenPool = ({ url, max, timeoutMs }) => {
  const database = createDatabase({
    hosts: url,
    max,
    acquireTimeoutMs: timeoutMs,
    queryTimeoutMs: timeoutMs,
  });
  return {
    query: async (sql, values) =>
      (await database.query(sql, values, { idempotent: sql.startsWith('select') })).rows,
    async acquire() {
      const lease = await database.acquire();
      return {
        query: async (sql, values) => (await lease.query(sql, values)).rows,
        release: () => lease.release(),
      };
    },
    transaction: (work) =>
      database.transaction((tx) => work(async (sql, values) => (await tx.query(sql, values)).rows)),
    end: () => database.end({ deadlineMs: timeoutMs }),
  };
};

/** The compared pools, by name. */
export const pools: Readonly<Record<string, OpenPool>> = {
  holdfast,
  'pg.Pool': pgPool,
  'postgres.js': postgresJs,
};

function asRow(row: object): Record<string, unknown> {
  return { ...row };
}

function asParameter(value: unknown): string | number | boolean | null {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  if (value === null) return null;
  throw new TypeError('the probes do not bind a value of this type');
}
