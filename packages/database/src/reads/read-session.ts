import type { Clock } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import type {
  CallOptions,
  QueryOptions,
  QueryResult,
  Reader,
  Session,
  Statement,
  Token,
  TransactionResult,
  Transaction,
  TransactionOptions,
} from '../database.ts';
import { UNKNOWN_PLACE, laterOf, readToken } from '../lsn.ts';
import { limitOf } from '../calls/call-deadline.ts';
import { type Freshness, after } from './consistency.ts';
import type { Queries } from '../calls/queries.ts';
import type { ReadTrace, Reads } from './reads.ts';
import { checkWork, readStatement } from '../calls/statement.ts';
import type { Transactions } from '../transactions/transactions.ts';

export interface ReadSessionOptions {
  readonly queries: Queries;
  readonly reads: Reads;
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly queryTimeoutMs: number;
  /** Called before each call. @throws NestedAcquireError, DatabaseClosedError */
  readonly enter: (asked: string) => void;
  /** What a caller is told of an error. */
  readonly told: (error: unknown) => unknown;
}

/**
 * Carries the place it has written and read up to from call to call. On one replica replay never goes back, so
 * it stays there; to leave it, it reads at the primary, which has seen everything, and goes on from that place.
 */
export class ReadSession implements Session {
  readonly #options: ReadSessionOptions;
  #token: Token | undefined;
  #freshness: Freshness = { is: 'any' };
  #pinned: string | undefined;

  constructor(options: ReadSessionOptions) {
    this.#options = options;
  }

  get token(): Token | undefined {
    return this.#token;
  }

  observe(token: Token): void {
    this.#reach(readToken('session.observe', 'token', token));
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = readStatement('session.query', given, values);
    const { clock, queries, queryTimeoutMs, enter } = this.#options;
    enter('session.query');
    const limit = limitOf('session.query', options, { clock, fallbackMs: queryTimeoutMs });
    try {
      const idempotent = options?.idempotent === true;
      const { result, token } = await queries.runPlaced<Row>(statement, limit, idempotent);
      this.#reach(token);
      return result;
    } catch (error) {
      // It may have written: what it wrote must not be missed by what is read next.
      this.#wantFrom(UNKNOWN_PLACE);
      throw this.#options.told(error);
    } finally {
      limit.release();
    }
  }

  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>> {
    this.#options.enter('session.transaction');
    try {
      const transacted = await this.#options.transactions.run(work, options);
      this.#reach(transacted.token);
      return transacted;
    } catch (error) {
      this.#wantFrom(UNKNOWN_PLACE);
      throw this.#options.told(error);
    }
  }

  async read<T>(work: (reader: Reader) => Promise<T> | T, options?: CallOptions): Promise<T> {
    checkWork('session.read', work);
    this.#options.enter('session.read');
    const trace: ReadTrace = this.#pinned === undefined ? {} : { key: this.#pinned };
    try {
      const value = await this.#options.reads.run(this.#freshness, work, options, trace);
      if (trace.token !== undefined) this.#reach(trace.token);
      this.#pinned = trace.role === 'standby' ? trace.key : undefined;
      return value;
    } catch (error) {
      throw this.#options.told(error);
    }
  }

  #reach(token: Token): void {
    this.#wantFrom(laterOf(this.#token, token));
  }

  #wantFrom(token: Token): void {
    if (token === this.#token) return;
    this.#token = token;
    this.#freshness = after(token);
  }
}
