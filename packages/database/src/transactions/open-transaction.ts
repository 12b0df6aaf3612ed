import type { QueryResultRow } from 'pg';
import type { QueryOptions, QueryResult, Statement, Transaction } from '../database.ts';
import { QueryFailedError, TransactionEndedError } from '../errors.ts';
import { isConflict } from '../connection/sql-state.ts';
import type { CallDeadline } from '@holdfast/foundation';
import type { LeasedConnection } from '../leases/leased-connection.ts';
import { checkWork, parseStatement } from '../calls/statement.ts';

/** The state that all handles of one transaction, outer and nested, share. */
export interface TransactionContext {
  readonly connection: LeasedConnection;
  readonly deadline: CallDeadline;
  readonly attempt: number;
  readonly signal: AbortSignal;
  savepoints: number;
  /** The server reported a conflict, so the whole transaction has to run again. */
  conflicted: boolean;
}

/** The handle of a transaction, or of a savepoint in it. */
export class OpenTransaction implements Transaction {
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #context: TransactionContext;
  #ended = false;

  constructor(context: TransactionContext) {
    this.attempt = context.attempt;
    this.signal = context.signal;
    this.#context = context;
  }

  end(): void {
    this.#ended = true;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    statement: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    if (this.#ended) throw new TransactionEndedError('transaction');
    return this.#send<Row>(parseStatement('tx.query', statement, values), options);
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    checkWork('tx.transaction', work);
    if (this.#ended) throw new TransactionEndedError('transaction');
    const name = `holdfast_${(this.#context.savepoints += 1)}`;
    await this.#send({ text: `savepoint ${name}` });
    const inner = new OpenTransaction(this.#context);
    try {
      const value = await work(inner);
      inner.end();
      await this.#send({ text: `release savepoint ${name}` });
      return value;
    } catch (error) {
      inner.end();
      // After the end of the connection or the transaction there is nothing to roll back.
      if (!this.#context.connection.ended) {
        await this.#send({ text: `rollback to savepoint ${name}; release savepoint ${name}` });
      }
      throw error;
    }
  }

  async #send<Row extends QueryResultRow>(
    statement: Statement,
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const { connection, deadline } = this.#context;
    try {
      return await connection.query<Row>(statement, options, Math.max(1, deadline.remainingMs()));
    } catch (error) {
      if (error instanceof QueryFailedError && isConflict(error.sqlState)) {
        this.#context.conflicted = true;
      }
      throw error;
    }
  }
}
