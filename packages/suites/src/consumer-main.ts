/** A consumer in a child process, so that it can be killed: `node consumer-main.ts <options as JSON>`. */
import { createQueueAdapter, postgresLedger } from '@holdfast/queue';
import { Pool, type PoolClient } from 'pg';
import type { ConsumerChildOptions } from './child.ts';

const options: ConsumerChildOptions = JSON.parse(process.argv[2] ?? '');
const pool = new Pool({ connectionString: options.postgresUrl, max: 10 });
pool.on('error', () => undefined);
const queue = createQueueAdapter({ redis: { url: options.url } });
queue.process(
  options.topic,
  async ({ payload }, { transaction }) => {
    await transaction.query('INSERT INTO effects (job) VALUES ($1)', [payload]);
    process.send?.(payload);
  },
  {
    ledger: postgresLedger<PoolClient>({ client: pool }),
    leaseMs: options.leaseMs,
    concurrency: 10,
    // Each kill counts as an attempt of the jobs that were running.
    maxAttempts: 1_000,
  },
);
process.once('disconnect', () => {
  void queue.close().then(() => pool.end());
});
