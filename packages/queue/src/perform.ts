import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import type { Handler, Job } from './queue.ts';
import type { Run } from './run.ts';

/** Handles one job; `known` where the ledger says that its effect has happened already. */
export type Perform = (job: Job, run: Run) => Promise<'applied' | 'known'>;

/** The handler, behind the ledger where there is one. */
export function performer<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): Perform {
  if (ledger === undefined || isPlain(handler, ledger)) {
    return async (job, run) => {
      if (isPlain(handler, ledger)) await handler(job, contextOf(run, undefined));
      return 'applied';
    };
  }
  return (job, run) =>
    ledger.once(job, async (transaction) => handler(job, contextOf(run, transaction)));
}

function contextOf<Transaction>(
  run: Run,
  transaction: Transaction,
): { readonly signal: AbortSignal; readonly transaction: Transaction } {
  return {
    get signal() {
      return run.signal;
    },
    transaction,
  };
}

function isPlain<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): handler is Handler {
  return ledger === undefined;
}
