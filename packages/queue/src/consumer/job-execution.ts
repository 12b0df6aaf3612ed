import type { IdempotencyLedger } from '../ledger/idempotency-ledger.ts';
import type { Handler, Job } from '../queue.ts';

/** One run of a handler. Creates the signal on first use, because most handlers never use it. */
export class JobExecution {
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    return this.#created.signal;
  }

  get isAborted(): boolean {
    return this.#controller?.signal.aborted ?? false;
  }

  abort(reason: Error): void {
    this.#created.abort(reason);
  }

  get #created(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}

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
