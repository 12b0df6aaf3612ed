import { AsyncLocalStorage } from 'node:async_hooks';
import type { QueryResultRow } from 'pg';
import type { QueryOptions, QueryResult, Statement, Transaction } from '../database.ts';
import { OuterTransactionBusyError, QueryFailedError } from '../errors.ts';
import { isConflict } from '../connection/sql-state.ts';
import type { CallDeadline } from '@holdfast/foundation';
import type { LeasedConnection, Turn } from '../leases/leased-connection.ts';
import { refuseOptions } from '../calls/call-deadline.ts';
import { checkWork, parseStatement } from '../calls/statement.ts';

/** The state that all handles of one transaction, outer and nested, share. */
export interface TransactionContext {
  readonly connection: LeasedConnection;
  readonly deadline: CallDeadline;
  readonly attempt: number;
  readonly signal: AbortSignal;
  savepoints: number;
  /** The statements that were executed, although their answers could not be parsed. */
  readonly unparsed: QueryFailedError[];
  /** The server reported a conflict, so the whole transaction has to run again. */
  conflicted: boolean;
}

/** The nested transaction in whose callback the present code runs. */
const present = new AsyncLocalStorage<OpenTransaction>();

/**
 * The handle of a transaction, or of a savepoint in it. At most one nested transaction of a handle is open, because all
 * share one connection: what is called while it is open follows after it, in the order of the calls.
 */
export class OpenTransaction implements Transaction {
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #context: TransactionContext;
  readonly #parent: OpenTransaction | undefined;
  /** The nested transaction in whose callback this one was called. */
  readonly #enclosing: OpenTransaction | undefined = present.getStore();
  /** The nested transactions, and the calls that wait for them; it never rejects. */
  #pending: Promise<unknown> | undefined;
  #open: OpenTransaction | undefined;
  #ended = false;
  #onEnd: (() => void) | undefined;

  constructor(context: TransactionContext, parent?: OpenTransaction) {
    this.attempt = context.attempt;
    this.signal = context.signal;
    this.#context = context;
    this.#parent = parent;
  }

  /** Ends the nested transaction that is open too. */
  end(): void {
    this.#ended = true;
    this.#open?.end();
    this.#onEnd?.();
  }

  /** Resolves once all calls so far have settled. */
  async quiet(): Promise<void> {
    while (this.#pending !== undefined) await this.#pending;
    await this.#context.connection.quiet();
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    this.#checkOpen();
    const statement = parseStatement('tx.query', given, values);
    const previous = this.#pending;
    if (previous === undefined) return this.#send<Row>(statement, options);
    this.#checkOutside('tx.query');
    const turn: Turn = { previous, check: () => this.#checkOpen() };
    return this.#queue(this.#send<Row>(statement, options, turn));
  }

  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    ...given: readonly unknown[]
  ): Promise<T> {
    checkWork('tx.transaction', work);
    refuseOptions('tx.transaction', given, 'a nested transaction has those of the outer one');
    this.#checkOpen();
    if (this.#pending !== undefined) this.#checkOutside('tx.transaction');
    return this.#queue(this.#nest(work, this.#pending));
  }

  async #nest<T>(
    work: (tx: Transaction) => Promise<T> | T,
    previous: Promise<unknown> | undefined,
  ): Promise<T> {
    const inner = new OpenTransaction(this.#context, this);
    if (previous !== undefined) {
      await previous;
      this.#checkOpen();
    }
    this.#open = inner;
    const name = `holdfast_${(this.#context.savepoints += 1)}`;
    try {
      await this.#send({ text: `savepoint ${name}` });
      return await this.#runNested(inner, name, work);
    } finally {
      this.#open = undefined;
    }
  }

  async #runNested<T>(
    inner: OpenTransaction,
    name: string,
    work: (tx: Transaction) => Promise<T> | T,
  ): Promise<T> {
    try {
      const value = await inner.#run(work);
      inner.end();
      this.#checkOpen();
      await this.#send({ text: `release savepoint ${name}` });
      return value;
    } catch (error) {
      inner.end();
      // After the end of the connection or of this transaction there is nothing to roll back.
      if (!this.#ended && !this.#context.connection.ended) {
        await this.#send({ text: `rollback to savepoint ${name}; release savepoint ${name}` });
      }
      throw error;
    }
  }

  /** Runs the callback until it and all its calls have settled, or until the transaction around it ends. */
  async #run<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T> {
    const ended = new Promise<never>((_, reject) => {
      this.#onEnd = () => reject(this.#context.connection.endedError());
    });
    const running = async (): Promise<T> => {
      const value = await work(this);
      await this.quiet();
      return value;
    };
    try {
      this.#checkOpen();
      return await Promise.race([present.run(this, running), ended]);
    } finally {
      this.#onEnd = undefined;
    }
  }

  /** Later calls wait until the call has settled, and those before it. */
  #queue<T>(call: Promise<T>): Promise<T> {
    const pending = Promise.allSettled([this.#pending, call]).then(() => {
      if (this.#pending === pending) this.#pending = undefined;
    });
    this.#pending = pending;
    return call;
  }

  #checkOpen(): void {
    if (this.#ended) throw this.#context.connection.endedError();
  }

  /** @throws OuterTransactionBusyError for code that the open nested transaction waits for. */
  #checkOutside(call: string): void {
    if (present.getStore()?.isWithin(this) === true) throw new OuterTransactionBusyError(call);
  }

  /** Whether `outer` waits for this nested transaction, or for one around it. */
  isWithin(outer: OpenTransaction): boolean {
    const parent = this.#parent;
    if (parent === outer) return !this.#ended;
    if (parent?.isWithin(outer) === true) return true;
    return this.#enclosing !== parent && this.#enclosing?.isWithin(outer) === true;
  }

  async #send<Row extends QueryResultRow>(
    statement: Statement,
    options?: QueryOptions,
    turn?: Turn,
  ): Promise<QueryResult<Row>> {
    const { connection, deadline } = this.#context;
    const atMostMs = Math.max(1, deadline.remainingMs());
    try {
      return await connection.query<Row>(statement, options, atMostMs, turn);
    } catch (error) {
      if (error instanceof QueryFailedError && isConflict(error.sqlState)) {
        this.#context.conflicted = true;
      }
      if (error instanceof QueryFailedError && error.outcome === 'applied') {
        this.#context.unparsed.push(error);
      }
      throw error;
    }
  }
}
