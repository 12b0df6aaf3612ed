import type { IdempotencyLedger } from '../ledger/idempotency-ledger.ts';
import type { Handler, Job } from '../queue.ts';
import type { JobExecution } from './job-execution.ts';

/** Handles one job; `known` where the ledger says that its effect has happened already. */
export type ExecuteJob = (job: Job, run: JobExecution) => Promise<'applied' | 'known'>;

/** The handler, behind the ledger where there is one. */
export function createJobExecutor<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): ExecuteJob {
  if (ledger === undefined || isPlain(handler, ledger)) {
    return async (job, run) => {
      if (isPlain(handler, ledger)) await handler(job, new Context(run, undefined));
      return 'applied';
    };
  }
  return (job, run) =>
    ledger.once(job, async (transaction) => handler(job, new Context(run, transaction)));
}

/** What a handler is given beside its job. */
class Context<Transaction> {
  readonly #run: JobExecution;
  readonly transaction: Transaction;

  constructor(run: JobExecution, transaction: Transaction) {
    this.#run = run;
    this.transaction = transaction;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }
}

function isPlain<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): handler is Handler {
  return ledger === undefined;
}
