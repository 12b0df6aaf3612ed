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
  Transaction,
  TransactionOptions,
  TransactionResult,
} from '../database.ts';
import type { Token } from '../connection/token.ts';
import { TokenLostError } from '../errors.ts';
import { requirementOf } from '../hosts/host-router.ts';
import { UNKNOWN_LSN, isUnknown, laterOf, parseToken } from '../lsn.ts';
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
  /** The latest known position; kept when that of the token is unknown. */
  #seen: Token | undefined;
  #isLossReported = false;
  #pinned: string | undefined;
  /** Calls so far that may have written, though they failed. */
  #doubts = 0;

  constructor(deps: CallDeps, reads: Reads, transactions: Transactions) {
    this.#deps = deps;
    this.#reads = reads;
    this.#transactions = transactions;
  }

  get token(): Token | undefined {
    return this.#token;
  }

  observe(token: Token): void {
    this.#setToken(laterOf(this.#token, parseToken('session.observe', 'token', token)));
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
    const doubts = this.#doubts;
    try {
      const idempotent = options?.idempotent === true;
      const requirement = requirementOf(this.#freshness);
      const { result, token } = await queries.runWithLsn<Row>(
        statement,
        deadline,
        idempotent,
        requirement,
      );
      this.#advance(token ?? UNKNOWN_LSN, doubts);
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
    const doubts = this.#doubts;
    try {
      const requirement = requirementOf(this.#freshness);
      const result = await this.#transactions.run(work, options, requirement);
      this.#advance(result.token, doubts);
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
    const doubts = this.#doubts;
    const reading = this.#reads.run(this.#freshness, work, options, trace).catch((error) => {
      this.#reportLoss(error);
      throw error;
    });
    const value = await guard.withErrors(reading);
    if (trace.token !== undefined) this.#advance(trace.token, doubts);
    this.#pinned = trace.role === 'standby' ? trace.key : undefined;
    return value;
  }

  /** The failed call may have written, so the next read must go to the primary, on no earlier timeline. */
  #mayHaveWritten(error: unknown): unknown {
    // Nothing was sent, and the next call must not go on without what was lost.
    if (this.#reportLoss(error)) return error;
    this.#doubts += 1;
    this.#setToken(laterOf(this.#token, UNKNOWN_LSN));
    return this.#deps.guard.translateError(error);
  }

  /**
   * Takes the position of a call. An unknown one is replaced only by that of a call that began after it, and so included
   * it. @param doubts how many there were when the call began.
   */
  #advance(token: Token, doubts: number): void {
    const known = this.#token;
    const follows = known !== undefined && isUnknown(known) && doubts === this.#doubts;
    const isNext = follows && !isUnknown(token) && token.timeline >= known.timeline;
    this.#setToken(isNext ? token : laterOf(known, token));
  }

  #setToken(token: Token): void {
    if (token === this.#token) return;
    this.#token = token;
    if (!isUnknown(token)) this.#seen = token;
    this.#freshness = after(token, this.#seen);
  }

  #reportLoss(error: unknown): boolean {
    if (!(error instanceof TokenLostError)) return false;
    const { host = '', token, timeline, began } = error;
    const atMs = this.#deps.options.clock.now();
    if (!this.#isLossReported) {
      this.#deps.events.emit('token-lost', { host, token, timeline, began, atMs });
    }
    this.#isLossReported = true;
    return true;
  }
}
