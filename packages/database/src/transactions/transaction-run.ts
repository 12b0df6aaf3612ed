import type { CallDeadline, Cancellation } from '@holdfast/foundation';
import type { CallDeps } from '../calls/call-deps.ts';
import { checkWritable } from '../calls/fresh-exchange.ts';
import { rolledBack, toDatabaseError } from '../calls/to-database-error.ts';
import { ConnectionFailure } from '../connection/connection.ts';
import { READ_ONLY, errorMessage, isConflict } from '../connection/sql-state.ts';
import type { Transaction, TransactionResult } from '../database.ts';
import { CommitRolledBackError, ConnectionLostError, QueryFailedError } from '../errors.ts';
import { LeasedConnection } from '../leases/leased-connection.ts';
import { UNKNOWN_LSN } from '../lsn.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import { type LinkRequirement, StaleLink } from '../pool/link-state.ts';
import { noFreshServer } from '../pool/pool-errors.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { CommitMarker } from './commit-marker.ts';
import { type CommitOutcome, commit, endedBeforeCommit } from './commit.ts';
import { OpenTransaction, type TransactionContext } from './open-transaction.ts';
import { type ResolvedTransactionOptions, beginOf } from './transaction-options.ts';

/** How one run of the callback ended. `retry`: nothing of it was kept, and it may run again. */
export type RunResult<T> =
  | { readonly kind: 'committed'; readonly result: TransactionResult<T> }
  | {
      readonly kind: 'failed';
      readonly error: unknown;
      readonly retry: boolean;
      /** BEGIN was lost, or not sent to this server, so the callback did not run. */
      readonly neverBegan?: boolean;
    };

/** What one run keeps to. */
export interface RunLimits {
  /** Of the whole transaction. */
  readonly deadline: CallDeadline;
  /** From 1. */
  readonly attempt: number;
  readonly requirement: LinkRequirement;
}

/** What the absence of the marker row tells, and what it does not. */
const MARKED =
  'by its marker row the transaction was not committed on the host that takes writes now, and no longer can be; a former ' +
  'primary that it has replaced may have committed it, which is lost with that';

/** One run of a transaction's callback, from BEGIN to COMMIT or ROLLBACK, on one connection. */
export class TransactionRun {
  readonly #deps: CallDeps;
  readonly #pooled: PooledConnection;
  readonly #options: ResolvedTransactionOptions;
  readonly #deadline: CallDeadline;
  readonly #requirement: LinkRequirement;
  readonly #abort = new AbortController();
  readonly #context: TransactionContext;
  readonly #marker: CommitMarker | undefined;

  constructor(
    deps: CallDeps,
    pooled: PooledConnection,
    options: ResolvedTransactionOptions,
    { deadline, attempt, requirement }: RunLimits,
  ) {
    this.#deps = deps;
    this.#pooled = pooled;
    this.#options = options;
    this.#deadline = deadline;
    this.#requirement = requirement;
    const { clock, queryTimeoutMs } = deps.options;
    const { signal } = this.#abort;
    const { readOnly } = options;
    const handle = 'transaction';
    const connection = new LeasedConnection({
      pooled,
      clock,
      queryTimeoutMs,
      handle,
      signal,
      readOnly,
    });
    const empty = { savepoints: 0, conflicted: false, unparsed: [] };
    this.#context = { connection, deadline, attempt, signal, ...empty };
    this.#marker = options.resolveCommit && !options.readOnly ? new CommitMarker() : undefined;
  }

  async run<T>(work: (tx: Transaction) => Promise<T> | T): Promise<RunResult<T>> {
    try {
      await checkWritable(this.#pooled, this.#requirement, this.#deadline);
      await this.#pooled.run({ text: beginOf(this.#options) }, this.#deadline);
    } catch (error) {
      if (error instanceof StaleLink) {
        return { kind: 'failed', error: noFreshServer(error), retry: true, neverBegan: true };
      }
      // None of the caller's statements was sent yet.
      const retry = error instanceof ConnectionFailure && error.kind === 'lost';
      return { kind: 'failed', error: this.#translate(error), retry, neverBegan: true };
    }
    let value: T;
    try {
      value = await this.#runCallback(work);
    } catch (thrown) {
      const error = this.#context.connection.explain(thrown);
      const isLost = !this.#pooled.connection.alive;
      await this.#rollBack();
      const ended = this.#context.connection.endedByStatement;
      // The caller's own error would say that nothing was kept.
      if (ended !== undefined && (ended === error || ended.outcome !== 'not-applied')) {
        return { kind: 'failed', error: ended, retry: false };
      }
      const isStandby =
        error instanceof QueryFailedError &&
        error.sqlState === READ_ONLY &&
        error.outcome === 'not-applied' &&
        !this.#options.readOnly &&
        this.#deps.router.reportReadOnly(this.#pooled, 'write');
      const retry = this.#context.conflicted || isStandby || (isLost && this.#options.rerunOnLoss);
      const unparsed = this.#context.unparsed.find((each) => each === error);
      return {
        kind: 'failed',
        error: unparsed === undefined ? error : rolledBack(unparsed),
        retry,
      };
    }
    return this.#afterCommit(value, await commit(this.#pooled, this.#deadline));
  }

  /** Runs the callback until it settles, its connection is lost or its time is over. */
  async #runCallback<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    const { connection } = this.#context;
    const deadline = this.#deadline;
    const tx = new OpenTransaction(this.#context);
    const scope = { open: true };
    const aborted = this.#whenAborted();
    try {
      const working = this.#deps.guard.runInside(scope, async () => work(tx));
      const value = await Promise.race([working, aborted]);
      await Promise.race([tx.quiet(), aborted]);
      if (connection.ended) {
        // Interrupted in this tick: its reason is more telling.
        if (deadline.cancellation !== undefined) await aborted;
        throw connection.endCause;
      }
      if (this.#marker !== undefined) {
        const left = connection.query(this.#marker.leave, undefined, deadline.remainingMs());
        await Promise.race([left, aborted]);
      }
      return value;
    } finally {
      scope.open = false;
      tx.end();
      connection.end();
      deadline.current = undefined;
      this.#pooled.onClose = undefined;
    }
  }

  /** Rejects when the connection is lost or the time is over, and ends the transaction's handles then. */
  #whenAborted(): Promise<never> {
    const pooled = this.#pooled;
    const deadline = this.#deadline;
    return new Promise((_, reject) => {
      const abort = (reason: unknown): void => {
        this.#context.connection.end(reason);
        reject(reason);
        this.#abort.abort(reason);
      };
      const interrupt = (cancellation: Cancellation): void =>
        abort(
          pooled.occupied
            ? this.#translate(new QueryInterrupted(cancellation, true))
            : endedBeforeCommit(cancellation, pooled.host, deadline.timeoutMs),
        );
      deadline.current = { cancel: interrupt };
      pooled.onClose = (error) => abort(this.#lost(error));
      if (deadline.cancellation !== undefined) interrupt(deadline.cancellation);
      else if (!pooled.connection.alive) abort(this.#lost());
    });
  }

  async #afterCommit<T>(value: T, outcome: CommitOutcome): Promise<RunResult<T>> {
    if (outcome.kind === 'committed') {
      return { kind: 'committed', result: { value, token: outcome.token } };
    }
    const { error } = outcome;
    if (outcome.kind === 'refused') {
      const { conflicted } = this.#context;
      const retry =
        (error instanceof QueryFailedError && isConflict(error.sqlState)) ||
        (error instanceof CommitRolledBackError && conflicted) ||
        (error instanceof ConnectionLostError && (conflicted || this.#options.rerunOnLoss));
      return { kind: 'failed', error, retry };
    }
    const isCommitted = outcome.mayResolve ? await this.#resolveCommit() : undefined;
    if (isCommitted === undefined) {
      this.#deps.counts.commitsUnknown += 1;
      return { kind: 'failed', error, retry: false };
    }
    if (isCommitted) return { kind: 'committed', result: { value, token: UNKNOWN_LSN } };
    return { kind: 'failed', error: this.#lost(error, MARKED), retry: this.#options.rerunOnLoss };
  }

  /** @returns whether the transaction was committed; `undefined` if that could not be found out in time. */
  async #resolveCommit(): Promise<boolean | undefined> {
    if (this.#marker === undefined) return undefined;
    const { queries, counts, events, options } = this.#deps;
    const { tombstone, read } = this.#marker;
    try {
      await queries.run(tombstone, this.#deadline, true);
      const { rows } = await queries.run<{ committed: unknown }>(read, this.#deadline, true);
      const committed = rows[0]?.committed;
      if (typeof committed !== 'boolean') return undefined;
      counts.commitsResolved += 1;
      events.emit('commit-resolved', { committed, atMs: options.clock.now() });
      return committed;
    } catch {
      return undefined;
    }
  }

  /** Rolls back before the caller gets the error, although the pool would do so on release. */
  async #rollBack(): Promise<void> {
    const pooled = this.#pooled;
    const isOver = this.#deadline.cancellation !== undefined;
    if (!pooled.connection.alive || pooled.occupied || isOver) return;
    try {
      await pooled.run({ text: 'rollback' }, this.#deadline);
    } catch {
      // The pool rolls back, or destroys the connection, when it is released.
    }
  }

  #translate(error: unknown): unknown {
    const { host } = this.#pooled;
    return toDatabaseError(error, {
      host,
      timeoutMs: this.#deadline.timeoutMs,
      inTransaction: true,
    });
  }

  #lost(cause?: unknown, effect = 'the transaction was not committed'): ConnectionLostError {
    const { host } = this.#pooled;
    const seen = cause === undefined ? '' : ` (${errorMessage(cause)})`;
    const message = `the connection to ${host} was lost${seen}; ${effect}`;
    return new ConnectionLostError(message, {
      cause,
      phase: 'sent',
      outcome: 'not-applied',
      retryable: true,
      host,
    });
  }
}
