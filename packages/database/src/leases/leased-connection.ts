import type { CallDeadline, Cancellation, Clock } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { startDeadline } from '../calls/call-deadline.ts';
import { toDatabaseError } from '../calls/to-database-error.ts';
import type { CallOptions, QueryResult, Statement } from '../database.ts';
import {
  endsTransaction,
  hasEnded,
  transactionEnd,
  wouldEnd,
} from '../connection/transaction-control.ts';
import { TransactionControlError, TransactionEndedError } from '../errors.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';

interface LeasedConnectionDeps {
  readonly pooled: PooledConnection;
  readonly clock: Clock;
  readonly queryTimeoutMs: number;
  /** Its name in errors. */
  readonly handle: 'transaction' | 'lease';
  /** Of a transaction that the caller began read-only. */
  readonly readOnly?: boolean | undefined;
  /** Ends every statement with its reason. */
  readonly signal?: AbortSignal;
}

/** What a statement waits for before it is queued. */
export interface Turn {
  readonly previous: Promise<unknown>;
  /** @throws when the statement must no longer be sent. */
  readonly check: () => void;
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
    this.pooled.holdsState = true;
    this.#deps = deps;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** The statement of the caller that ended the transaction, as an error. */
  get endedByStatement(): TransactionControlError | undefined {
    const cause = this.#ended?.cause;
    return cause instanceof TransactionControlError ? cause : undefined;
  }

  /** Why it has ended: a statement that was interrupted leaves a transaction of unknown content, which is rolled back. */
  get endCause(): unknown {
    return this.#ended?.cause ?? this.endedError();
  }

  /** The error of a transaction whose callback failed: that of a statement after the end is not what went wrong. */
  explain(error: unknown): unknown {
    const isAfterEnd = error instanceof TransactionEndedError && error.cause !== undefined;
    return isAfterEnd && error.cause === this.#ended?.cause ? error.cause : error;
  }

  /** The error of a statement after the end. */
  endedError(): TransactionEndedError {
    return new TransactionEndedError(this.#deps.handle, this.#ended?.cause);
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
    turn?: Turn,
  ): Promise<QueryResult<Row>> {
    const { clock, handle, readOnly, signal, queryTimeoutMs } = this.#deps;
    if (this.ended) throw this.endedError();
    if (handle === 'transaction' && endsTransaction(statement.text)) {
      const error = wouldEnd(this.pooled.host);
      this.end(error);
      throw error;
    }
    const defaults = { clock, fallbackMs: queryTimeoutMs, atMostMs, signal };
    const deadline = startDeadline('query', call, defaults);
    const { timeoutMs } = deadline;
    try {
      if (turn !== undefined) {
        await waitUntil(turn.previous, deadline);
        turn.check();
        if (this.ended) throw this.endedError();
      }
      return await this.#enqueue<Row>(statement, deadline);
    } catch (error) {
      const inTransaction = handle === 'transaction';
      const translated = toDatabaseError(error, {
        host: this.pooled.host,
        timeoutMs,
        inTransaction,
        readOnly,
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
    if (this.ended) throw this.endedError();
    return this.#run<Row>(statement, deadline);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    if (this.pooled.occupied) await waitUntil(this.pooled.settled(), deadline);
    try {
      return await this.pooled.run<Row>(statement, deadline);
    } finally {
      this.#checkOpen(statement.text);
    }
  }

  /** @throws TransactionControlError when the statement has ended the transaction, whether or not it failed. */
  #checkOpen(text: string): void {
    const { connection, host, occupied } = this.pooled;
    if (this.#deps.handle !== 'transaction' || !connection.alive || occupied) return;
    const end = transactionEnd({ commands: connection.commands, status: connection.status, text });
    if (end === undefined) return;
    const error = hasEnded(host, end);
    this.end(error);
    throw error;
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
