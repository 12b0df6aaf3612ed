/** The pool of `pg` as a module that is scored. */
import { Pool } from 'pg';

export default function open({ url, max, timeoutMs, listens }) {
  const pool = new Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  if (listens) pool.on('error', () => undefined);
  const ask = (client) => async (sql, values) => (await client.query(sql, values)).rows;
  return {
    query: ask(pool),
    async acquire() {
      const client = await pool.connect();
      return { query: ask(client), release: () => client.release() };
    },
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query('begin');
        const value = await work(ask(client));
        await client.query('commit');
        return value;
      } catch (error) {
        await client.query('rollback').catch(() => undefined);
        throw error;
      } finally {
        client.release();
      }
    },
    end: () => pool.end(),
  };
}
