import type { QueryResult as PgResult, QueryResultRow } from 'pg';
import type { QueryResult } from '../database.ts';
import { endsTheLink, sqlStateOf } from './sql-state.ts';
import { LinkFailure, type Reply } from './connection.ts';

/** What is on the wire: one statement, or several in a row. */
export interface Exchange {
  /** ReadyForQuery messages still to come. */
  pending: number;
  /** The server has said that it hangs up, or why it refused. */
  error: unknown;
  /** @param failed `undefined` when the server is ready and nothing has failed. */
  done(failed: LinkFailure | undefined): void;
}

/** What pg calls with an answer: an error as soon as it has come, a result when the server is ready. */
export type Taker<Row extends QueryResultRow> = (error: unknown, result: PgResult<Row>) => void;

/** One statement. One object and one function for each query: what is made here shows in the throughput. */
export class SingleExchange<Row extends QueryResultRow> implements Exchange {
  pending = 1;
  error: unknown = undefined;
  readonly take: Taker<Row>;
  readonly #reply: Reply<Row>;
  #answer: QueryResult<Row> | undefined = undefined;

  constructor(reply: Reply<Row>) {
    this.#reply = reply;
    this.take = (error, result) => {
      if (isNone(error)) this.#answer = lastOf(result);
      else this.error ??= error;
    };
  }

  done(failed: LinkFailure | undefined): void {
    if (failed === undefined && this.#answer !== undefined) this.#reply.answered(this.#answer);
    else this.#reply.failed(failed ?? unanswered());
  }
}

/** What came of a statement, and of the one behind it where that succeeded too. */
export interface Placed<Row extends QueryResultRow> {
  readonly result: QueryResult<Row>;
  readonly behind: QueryResult | undefined;
}

/** A statement with a second one behind it, whose failure is not the first one's. */
export class PlacedExchange<Row extends QueryResultRow> implements Exchange {
  pending = 2;
  error: unknown = undefined;
  readonly takeFirst: Taker<Row>;
  readonly takeBehind: Taker<QueryResultRow>;
  readonly #resolve: (placed: Placed<Row>) => void;
  readonly #reject: (failure: LinkFailure) => void;
  #result: QueryResult<Row> | undefined;
  #behind: QueryResult | undefined;

  constructor(resolve: (placed: Placed<Row>) => void, reject: (failure: LinkFailure) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.takeFirst = (error, result) => {
      if (isNone(error)) this.#result = lastOf(result);
      else this.error ??= error;
    };
    this.takeBehind = (error, result) => {
      if (isNone(error)) this.#behind = lastOf(result);
    };
  }

  done(failed: LinkFailure | undefined): void {
    if (this.#result === undefined) this.#reject(failed ?? unanswered());
    else this.#resolve({ result: this.#result, behind: this.#behind });
  }
}

/** Several statements, each with an answer of its own. */
export class PipelinedExchange implements Exchange {
  pending: number;
  error: unknown = undefined;
  readonly #count: number;
  readonly #resolve: (settled: PromiseSettledResult<QueryResult>[]) => void;
  readonly #settled = new Map<number, PromiseSettledResult<QueryResult>>();

  constructor(count: number, resolve: (settled: PromiseSettledResult<QueryResult>[]) => void) {
    this.pending = count;
    this.#count = count;
    this.#resolve = resolve;
  }

  takerAt(at: number): Taker<QueryResultRow> {
    return (error, result) => {
      if (this.#settled.has(at)) return;
      if (isNone(error)) this.#settled.set(at, { status: 'fulfilled', value: lastOf(result) });
      else if (endsTheLink(sqlStateOf(error))) this.error ??= error;
      else {
        const reason = new LinkFailure('refused', error, true);
        this.#settled.set(at, { status: 'rejected', reason });
      }
    };
  }

  /** It is not sent, and nothing comes back for it. */
  refuse(at: number, failure: LinkFailure): void {
    this.pending -= 1;
    this.#settled.set(at, { status: 'rejected', reason: failure });
  }

  done(failed: LinkFailure | undefined): void {
    const rest = { status: 'rejected', reason: failed ?? unanswered() } as const;
    this.#resolve(Array.from({ length: this.#count }, (_, at) => this.#settled.get(at) ?? rest));
  }
}

function isNone(error: unknown): boolean {
  return error === undefined || error === null;
}

function unanswered(): LinkFailure {
  return new LinkFailure('refused', undefined, true);
}

/** Of several statements in one text the last one's result is given. */
function lastOf<Row extends QueryResultRow>(result: PgResult<Row>): QueryResult<Row> {
  return Array.isArray(result) ? result.at(-1) : result;
}
