import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import type { Handler, Job } from './queue.ts';

/** Handles one job; `known` where the ledger says that its effect has happened already. */
export type Perform = (job: Job, signal: AbortSignal) => Promise<'applied' | 'known'>;

/** The handler, behind the ledger where there is one. */
export function performer<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): Perform {
  if (ledger === undefined || isPlain(handler, ledger)) {
    return async (job, signal) => {
      if (isPlain(handler, ledger)) await handler(job, { signal, transaction: undefined });
      return 'applied';
    };
  }
  return (job, signal) =>
    ledger.once(job, async (transaction) => handler(job, { signal, transaction }));
}

function isPlain<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): handler is Handler {
  return ledger === undefined;
}
