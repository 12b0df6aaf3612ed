/** A worker of the publish pipeline in a process of its own, on runs in Postgres; it tells its log to its parent. */
import { createDbosRunner } from '@holdfast/operations/dbos';
import { type WorkerOptions, openWorker } from './worker.ts';

/** Of a worker process. */
export interface WorkerProcessOptions {
  readonly worker: WorkerOptions;
  readonly databaseUrl: string;
  readonly leaseMs: number;
  readonly pollMs: number;
}

/** Sent to a worker process: the stage after which it ends itself as kill -9 would. */
export interface DieAfter {
  readonly dieAfter: string;
}

const { worker, databaseUrl, leaseMs, pollMs }: WorkerProcessOptions = JSON.parse(
  process.argv[2] ?? '{}',
);
let dieAfter: string | undefined;
process.on('message', (message: DieAfter) => {
  ({ dieAfter } = message);
  process.send?.('armed');
});
const { pipeline } = openWorker(worker);
pipeline.on('log', (log) => {
  if (dieAfter === log.message && log.kind === 'stage-done') process.kill(process.pid, 'SIGKILL');
  process.send?.(log);
});
await createDbosRunner({ functions: pipeline.functions, databaseUrl, leaseMs, pollMs });
process.send?.('open');
