import type { IdempotencyLedger } from '../ledger/idempotency-ledger.ts';
import type { Handler, Job } from '../queue.ts';
import type { JobExecution } from './job-execution.ts';

/** Handles one job; resolves with `known` when the ledger has its entry already. */
export type ExecuteJob = (job: Job, execution: JobExecution) => Promise<'applied' | 'known'>;

/** Combines the handler with the ledger, if there is one. */
export function createJobExecutor<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): ExecuteJob {
  if (ledger === undefined || isPlain(handler, ledger)) {
    return async (job, execution) => {
      if (isPlain(handler, ledger)) await handler(job, new Context(execution, undefined));
      return 'applied';
    };
  }
  return (job, execution) =>
    ledger.once(job, async (transaction) => handler(job, new Context(execution, transaction)));
}

/** The second argument of a handler. */
class Context<Transaction> {
  readonly #execution: JobExecution;
  readonly transaction: Transaction;

  constructor(execution: JobExecution, transaction: Transaction) {
    this.#execution = execution;
    this.transaction = transaction;
  }

  get signal(): AbortSignal {
    return this.#execution.signal;
  }
}

function isPlain<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): handler is Handler {
  return ledger === undefined;
}
