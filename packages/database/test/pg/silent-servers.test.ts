import { expect, test } from '@jest/globals';
import { systemClock, withDeadline } from '@holdfast/foundation';
import QueryStream from 'pg-query-stream';
import { usePoolStage } from './open-pool.ts';

const stage = usePoolStage();
const TIMEOUT_MS = 200;
const SERVED_WITHIN_MS = 10_000;

type OpenPool = ReturnType<typeof stage.open>;

const uses: readonly [string, (pool: OpenPool) => Promise<unknown>][] = [
  ['pool.query', (pool) => pool.query('select 1')],
  [
    'a query of a client, which is released then',
    async (pool) => {
      const client = await pool.connect();
      await client.query('select 1').finally(() => client.release());
    },
  ],
  [
    'a query of a client that is released before its end',
    async (pool) => {
      const client = await pool.connect();
      const query = client.query('select 1');
      client.release();
      await query;
    },
  ],
  [
    'a stream',
    async (pool) => {
      for await (const _ of pool.query(new QueryStream('select 1'))) void _;
    },
  ],
];

/** What is asked now is served by another connection, although the server still does not answer on the first. */
test.each(uses)(
  '%s that the server leaves unanswered does not keep its place in the pool',
  async (_, use) => {
    const pool = stage.open({ max: 1, query_timeout: TIMEOUT_MS }, { cancelGraceMs: 50 });
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const pid = rows[0]?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(use(pool)).rejects.toThrow('timeout');
      const late = (): Error => new Error('the place in the pool is still taken');
      const served = withDeadline(systemClock, SERVED_WITHIN_MS, undefined, late, () =>
        pool.query('select 2 as two'),
      );
      expect((await served).rows).toEqual([{ two: 2 }]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  },
);
