import { CallDeadline, sleep } from '@holdfast/foundation';
import type { CallDeps } from '../calls/call-deps.ts';
import { checkWork } from '../calls/statement.ts';
import type { Transaction, TransactionOptions, TransactionResult } from '../database.ts';
import { type ResolvedTransactionOptions, parseTransactionOptions } from './transaction-options.ts';
import { type RunResult, TransactionRun } from './transaction-run.ts';

const FIRST_DELAY_MS = 5;
const LONGEST_DELAY_MS = 500;

/** Runs callbacks in transactions, and again where the server asks for it. */
export class Transactions {
  readonly #deps: CallDeps;

  constructor(deps: CallDeps) {
    this.#deps = deps;
  }

  async run<T>(
    work: (tx: Transaction) => Promise<T> | T,
    given: TransactionOptions | undefined,
  ): Promise<TransactionResult<T>> {
    checkWork('transaction', work);
    const options = parseTransactionOptions(given);
    const { counts } = this.#deps;
    const { clock, random, transactionTimeoutMs } = this.#deps.options;
    const { timeoutMs = transactionTimeoutMs, signal } = options;
    const signals = signal === undefined ? undefined : [signal];
    const deadline = new CallDeadline(clock, timeoutMs, signals);
    counts.transactions += 1;
    try {
      for (let attempt = 1; ; attempt += 1) {
        const run = await this.#runOnce(work, options, deadline, attempt);
        if (run.kind === 'committed') return run.result;
        const isLast = attempt > options.maxRetries || deadline.cancellation !== undefined;
        if (!run.retry || isLast) throw run.error;
        counts.transactionRetries += 1;
        const longestMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
        const delayMs = random() * longestMs;
        if (delayMs >= deadline.remainingMs()) throw run.error;
        await sleep(clock, delayMs, signal);
      }
    } finally {
      deadline.release();
    }
  }

  async #runOnce<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options: ResolvedTransactionOptions,
    deadline: CallDeadline,
    attempt: number,
  ): Promise<RunResult<T>> {
    const { router, leaks } = this.#deps;
    const pooled = await router.acquirePrimary(deadline);
    const stopWatching = leaks.watch(pooled);
    try {
      return await new TransactionRun(this.#deps, pooled, options, deadline, attempt).run(work);
    } finally {
      stopWatching();
      pooled.release();
    }
  }
}
