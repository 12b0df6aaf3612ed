import { CallDeadline, sleep } from '@holdfast/foundation';
import type { CallDeps } from '../calls/call-deps.ts';
import { holdBack } from '../calls/queries.ts';
import { checkWork } from '../calls/statement.ts';
import { QueryTimeoutError, isUnsentTimeout } from '../errors.ts';
import type { LinkRequirement } from '../pool/link-state.ts';
import { OwnDeadline, acquireLimitMs } from '../pool/own-deadline.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { Transaction, TransactionOptions, TransactionResult } from '../database.ts';
import { type ResolvedTransactionOptions, parseTransactionOptions } from './transaction-options.ts';
import { type RunLimits, type RunResult, TransactionRun } from './transaction-run.ts';

const FIRST_DELAY_MS = 5;
const LONGEST_DELAY_MS = 500;

/** Connections were acquired on which the transaction could not begin. */
interface Hold {
  /** Why the last one was not used: more telling than that the time is over. */
  readonly error: unknown;
  readonly sinceMs: number;
}

/** Whether the time was over before the transaction began. */
function isOver(run: RunResult<unknown> & { readonly kind: 'failed' }): boolean {
  const isTimeout = run.neverBegan === true && run.error instanceof QueryTimeoutError;
  return isTimeout || isUnsentTimeout(run.error);
}

/** Runs callbacks in transactions, and again where the server asks for it. */
export class Transactions {
  readonly #deps: CallDeps;

  constructor(deps: CallDeps) {
    this.#deps = deps;
  }

  /** @param requirement what the server has to meet before BEGIN: a session is never led to an earlier timeline. */
  async run<T>(
    work: (tx: Transaction) => Promise<T> | T,
    given: TransactionOptions | undefined,
    requirement: LinkRequirement = { kind: 'none' },
  ): Promise<TransactionResult<T>> {
    checkWork('transaction', work);
    const options = parseTransactionOptions(given);
    const { counts } = this.#deps;
    const { clock, random, transactionTimeoutMs } = this.#deps.options;
    const { timeoutMs, signal } = options;
    const signals = signal === undefined ? undefined : [signal];
    const deadline =
      timeoutMs === undefined
        ? new CallDeadline(clock, transactionTimeoutMs, signals)
        : new OwnDeadline(clock, timeoutMs, signals);
    counts.transactions += 1;
    try {
      let held = 0;
      let hold: Hold | undefined;
      for (let attempt = 1; ; attempt += 1) {
        const attempted = { deadline, attempt, requirement, hold };
        const run = await this.#runOnce(work, options, attempted);
        if (run.kind === 'committed') return run.result;
        if (run.neverBegan === true && run.retry && deadline.cancellation === undefined) {
          // Not a run: behind a pooler whose server is away, only BEGIN finds out, and a former primary gets none.
          hold = { error: run.error, sinceMs: hold?.sinceMs ?? clock.now() };
          if (this.#remainingMs(deadline, hold) <= 0) throw hold.error;
          attempt -= 1;
          held += 1;
          await holdBack(clock, held, deadline);
          if (deadline.cancellation !== undefined) throw run.error;
          continue;
        }
        if (hold !== undefined && isOver(run)) throw hold.error;
        hold = undefined;
        if (!run.retry || attempt > options.maxRetries) throw run.error;
        const longestMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
        const delayMs = random() * longestMs;
        if (delayMs >= deadline.remainingMs()) throw run.error;
        await sleep(clock, delayMs, signal);
        counts.transactionRetries += 1;
      }
    } finally {
      deadline.release();
    }
  }

  async #runOnce<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options: ResolvedTransactionOptions,
    attempted: RunLimits & { readonly hold: Hold | undefined },
  ): Promise<RunResult<T>> {
    const { leaks } = this.#deps;
    const pooled = await this.#acquire(attempted);
    const stopWatching = leaks.watch(pooled);
    try {
      return await new TransactionRun(this.#deps, pooled, options, attempted).run(work);
    } finally {
      stopWatching();
      pooled.release();
    }
  }

  async #acquire({
    deadline,
    hold,
  }: {
    deadline: CallDeadline;
    hold: Hold | undefined;
  }): Promise<PooledConnection> {
    const { router } = this.#deps;
    try {
      if (hold === undefined) return await router.acquirePrimary(deadline);
      const remainingMs = Math.max(1, this.#remainingMs(deadline, hold));
      return await router.acquirePrimary(deadline, remainingMs);
    } catch (error) {
      throw hold !== undefined && isUnsentTimeout(error) ? hold.error : error;
    }
  }

  /** A pooler that accepts only, or a former primary, is as good as no connection, so it is waited for as long. */
  #remainingMs(deadline: CallDeadline, { sinceMs }: Hold): number {
    const { clock, acquireTimeoutMs } = this.#deps.options;
    return sinceMs + acquireLimitMs(deadline, acquireTimeoutMs) - clock.now();
  }
}
