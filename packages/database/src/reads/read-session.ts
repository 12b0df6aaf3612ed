import type { QueryResultRow } from 'pg';
import { startDeadline } from '../calls/call-deadline.ts';
import type { CallDeps } from '../calls/call-deps.ts';
import { checkWork, parseStatement } from '../calls/statement.ts';
import type {
  CallOptions,
  QueryOptions,
  QueryResult,
  Reader,
  Session,
  Statement,
  Token,
  Transaction,
  TransactionOptions,
  TransactionResult,
} from '../database.ts';
import { UNKNOWN_LSN, laterOf, parseToken } from '../lsn.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { type Freshness, after } from '../consistency.ts';
import type { ReadTrace, Reads } from './reads.ts';

/**
 * Carries the position it has written and read up to from call to call. Replay on one replica never goes back,
 * so the session stays on it. To leave it, it reads on the primary, which is never behind, and continues from
 * that position.
 */
export class ReadSession implements Session {
  readonly #deps: CallDeps;
  readonly #reads: Reads;
  readonly #transactions: Transactions;
  #token: Token | undefined;
  #freshness: Freshness = { kind: 'any' };
  #pinned: string | undefined;

  constructor(deps: CallDeps, reads: Reads, transactions: Transactions) {
    this.#deps = deps;
    this.#reads = reads;
    this.#transactions = transactions;
  }

  get token(): Token | undefined {
    return this.#token;
  }

  observe(token: Token): void {
    this.#advance(parseToken('session.observe', 'token', token));
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = parseStatement('session.query', given, values);
    const { guard, queries } = this.#deps;
    const { clock, queryTimeoutMs } = this.#deps.options;
    guard.assertOpen('session.query');
    const defaults = { clock, fallbackMs: queryTimeoutMs };
    const deadline = startDeadline('session.query', options, defaults);
    try {
      const idempotent = options?.idempotent === true;
      const { result, token } = await queries.runWithLsn<Row>(statement, deadline, idempotent);
      this.#advance(token);
      return result;
    } catch (error) {
      throw this.#mayHaveWritten(error);
    } finally {
      deadline.release();
    }
  }

  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>> {
    this.#deps.guard.assertOpen('session.transaction');
    try {
      const result = await this.#transactions.run(work, options);
      this.#advance(result.token);
      return result;
    } catch (error) {
      throw this.#mayHaveWritten(error);
    }
  }

  async read<T>(work: (reader: Reader) => Promise<T> | T, options?: CallOptions): Promise<T> {
    checkWork('session.read', work);
    const { guard } = this.#deps;
    guard.assertOpen('session.read');
    const trace: ReadTrace = this.#pinned === undefined ? {} : { key: this.#pinned };
    const value = await guard.withErrors(this.#reads.run(this.#freshness, work, options, trace));
    if (trace.token !== undefined) this.#advance(trace.token);
    this.#pinned = trace.role === 'standby' ? trace.key : undefined;
    return value;
  }

  /** The failed call may have written, so the next read must go to the primary. */
  #mayHaveWritten(error: unknown): unknown {
    this.#setToken(UNKNOWN_LSN);
    return this.#deps.guard.translateError(error);
  }

  #advance(token: Token): void {
    this.#setToken(laterOf(this.#token, token));
  }

  #setToken(token: Token): void {
    if (token === this.#token) return;
    this.#token = token;
    this.#freshness = after(token);
  }
}
