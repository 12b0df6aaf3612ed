import type { CallDeadline, Cancellation, Clock } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { startDeadline } from '../calls/call-deadline.ts';
import { toDatabaseError } from '../calls/to-database-error.ts';
import type { CallOptions, QueryResult, Statement } from '../database.ts';
import { TransactionEndedError } from '../errors.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';

interface LeasedConnectionDeps {
  readonly pooled: PooledConnection;
  readonly clock: Clock;
  readonly queryTimeoutMs: number;
  /** Its name in errors. */
  readonly handle: 'transaction' | 'lease';
  /** Ends every statement with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * A connection leased to one caller. Statements run in the order of their calls, one at a time, whether or
 * not each is awaited; after the end none is sent.
 */
export class LeasedConnection {
  readonly pooled: PooledConnection;
  readonly #deps: LeasedConnectionDeps;
  #ended: { readonly cause: unknown } | undefined;
  #tail: Promise<unknown> | undefined;

  constructor(deps: LeasedConnectionDeps) {
    this.pooled = deps.pooled;
    this.#deps = deps;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Rejects every statement from now on. */
  end(cause?: unknown): void {
    this.#ended ??= { cause };
  }

  /** Resolves once all statements so far have settled. */
  async quiet(): Promise<void> {
    await this.#tail;
  }

  /** @throws as `Queryable.query` says, and TransactionEndedError. */
  async query<Row extends QueryResultRow>(
    statement: Statement,
    call: CallOptions | undefined,
    atMostMs: number,
  ): Promise<QueryResult<Row>> {
    const { clock, handle, signal, queryTimeoutMs } = this.#deps;
    if (this.#ended !== undefined) throw new TransactionEndedError(handle, this.#ended.cause);
    const defaults = { clock, fallbackMs: queryTimeoutMs, atMostMs, signal };
    const deadline = startDeadline('query', call, defaults);
    const { timeoutMs } = deadline;
    try {
      return await this.#enqueue<Row>(statement, deadline);
    } catch (error) {
      const inTransaction = handle === 'transaction';
      const translated = toDatabaseError(error, {
        host: this.pooled.host,
        timeoutMs,
        inTransaction,
      });
      // A statement that may still run leaves a transaction of unknown content.
      if (inTransaction && error instanceof QueryInterrupted && error.sent) this.end(translated);
      throw translated;
    } finally {
      deadline.release();
    }
  }

  async #enqueue<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    const previous = this.#tail;
    const result =
      previous === undefined
        ? this.#run<Row>(statement, deadline)
        : this.#after<Row>(previous, statement, deadline);
    const tail = Promise.allSettled([previous, result]);
    this.#tail = tail;
    try {
      return await result;
    } finally {
      if (this.#tail === tail) this.#tail = undefined;
    }
  }

  async #after<Row extends QueryResultRow>(
    previous: Promise<unknown>,
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    await waitUntil(previous, deadline);
    const { handle } = this.#deps;
    if (this.#ended !== undefined) throw new TransactionEndedError(handle, this.#ended.cause);
    return this.#run<Row>(statement, deadline);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    if (this.pooled.occupied) await waitUntil(this.pooled.settled(), deadline);
    return this.pooled.run<Row>(statement, deadline);
  }
}

/** Waits for `work` until the deadline. @throws QueryInterrupted, of a statement that was not sent. */
function waitUntil<T>(work: Promise<T>, deadline: CallDeadline): Promise<T> {
  return new Promise((resolve, reject) => {
    const interrupt = (cancellation: Cancellation): void =>
      reject(new QueryInterrupted(cancellation, false));
    if (deadline.cancellation !== undefined) {
      interrupt(deadline.cancellation);
      return;
    }
    deadline.current = { cancel: interrupt };
    const detach = (): void => void (deadline.current = undefined);
    work.finally(detach).then(resolve, reject);
  });
}
