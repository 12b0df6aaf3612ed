/** An executor of durable runs in a process that is killed, or frozen and thawed. */
import { createDbosRunner } from '@holdfast/operations/dbos';
import { Pool } from 'pg';

export interface ExecutorOptions {
  readonly databaseUrl: string;
  readonly leaseMs: number;
  readonly pollMs: number;
}

/** What it tells: a step has begun, or what became of its effect. */
export interface ExecutorReport {
  readonly kind: 'open' | 'prepared' | 'reached' | 'applied' | 'refused';
  readonly runId: string;
  /** As text, because messages between processes carry no bigint. */
  readonly fence: string;
}

const options: ExecutorOptions = JSON.parse(process.argv[2] ?? '{}');
const pool = new Pool({ connectionString: options.databaseUrl, max: 2 });
const report = (kind: ExecutorReport['kind'], runId: string, fence: bigint): void =>
  void process.send?.({ kind, runId, fence: String(fence) } satisfies ExecutorReport);

/** The resource compares the fence in the statement of the effect: it refuses a lower one than it has seen. */
const APPLY = `update effects set fence = $2, applied = applied || $2::bigint
  where run_id = $1 and fence <= $2`;

const allowed = new Map<string, () => void>();
process.on('message', (runId: string) => allowed.get(runId)?.());

await createDbosRunner({
  ...options,
  functions: {
    work: async (context) => {
      await context.step('prepare', async ({ fence }) => {
        await pool.query('insert into prepared (run_id) values ($1)', [context.runId]);
        report('prepared', context.runId, fence);
        return null;
      });
      return context.step('effect', async ({ fence }) => {
        await pool.query('update effects set fence = greatest(fence, $2) where run_id = $1', [
          context.runId,
          String(fence),
        ]);
        // The worst there is: it does not heed its signal, and comes to its effect whenever it likes.
        const { promise, resolve } = Promise.withResolvers<void>();
        allowed.set(context.runId, resolve);
        report('reached', context.runId, fence);
        await promise;
        const { rowCount } = await pool.query(APPLY, [context.runId, String(fence)]);
        report(rowCount === 1 ? 'applied' : 'refused', context.runId, fence);
        return String(fence);
      });
    },
  },
});
report('open', '', 0n);
