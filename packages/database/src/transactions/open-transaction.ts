import type { QueryResultRow } from 'pg';
import type { QueryOptions, QueryResult, Statement, Transaction } from '../database.ts';
import { QueryFailedError, TransactionEndedError } from '../errors.ts';
import { isConflict } from '../connection/sql-state.ts';
import type { CallDeadline } from '@holdfast/foundation';
import type { LentLink } from '../leases/leased-connection.ts';
import { checkWork, readStatement } from '../calls/statement.ts';

/** What the handles of one transaction, outer and nested, have in common. */
export interface TransactionGround {
  readonly link: LentLink;
  readonly limit: CallDeadline;
  readonly attempt: number;
  readonly signal: AbortSignal;
  savepoints: number;
  /** The server asked for the whole to be run again. */
  conflicted: boolean;
}

/** One transaction's handle, or that of a savepoint in it. */
export class OpenTransaction implements Transaction {
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #ground: TransactionGround;
  #ended = false;

  constructor(ground: TransactionGround) {
    this.attempt = ground.attempt;
    this.signal = ground.signal;
    this.#ground = ground;
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
    return this.#send<Row>(readStatement('tx.query', statement, values), options);
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    checkWork('tx.transaction', work);
    if (this.#ended) throw new TransactionEndedError('transaction');
    const name = `holdfast_${(this.#ground.savepoints += 1)}`;
    await this.#send({ text: `savepoint ${name}` });
    const inner = new OpenTransaction(this.#ground);
    try {
      const value = await work(inner);
      inner.end();
      await this.#send({ text: `release savepoint ${name}` });
      return value;
    } catch (error) {
      inner.end();
      // Where the link or the transaction has ended there is nothing left to undo.
      if (!this.#ground.link.ended) {
        await this.#send({ text: `rollback to savepoint ${name}; release savepoint ${name}` });
      }
      throw error;
    }
  }

  async #send<Row extends QueryResultRow>(
    statement: Statement,
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const { link, limit } = this.#ground;
    try {
      return await link.query<Row>(statement, options, Math.max(1, limit.remainingMs()));
    } catch (error) {
      if (error instanceof QueryFailedError && isConflict(error.sqlState)) {
        this.#ground.conflicted = true;
      }
      throw error;
    }
  }
}
