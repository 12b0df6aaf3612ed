/** A consumer in a process of its own, so that it can be killed: `node consumer-main.ts <order as JSON>`. */
import { createQueueAdapter, postgresLedger } from '@holdfast/queue';
import { Pool, type PoolClient } from 'pg';
import type { ConsumerChildOptions } from './child.ts';

const order: ConsumerChildOptions = JSON.parse(process.argv[2] ?? '');
const pool = new Pool({ connectionString: order.postgresUrl, max: 10 });
pool.on('error', () => undefined);
const queue = createQueueAdapter({ redis: { url: order.url } });
queue.process(
  order.topic,
  async ({ payload }, { transaction }) => {
    await transaction.query('INSERT INTO effects (job) VALUES ($1)', [payload]);
    process.send?.(payload);
  },
  {
    ledger: postgresLedger<PoolClient>({ client: pool }),
    leaseMs: order.leaseMs,
    concurrency: 10,
  },
);
process.once('disconnect', () => {
  void queue.close().then(() => pool.end());
});
