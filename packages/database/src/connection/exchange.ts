import type { QueryResult as PgResult, QueryResultRow } from 'pg';
import type { QueryResult } from '../database.ts';
import { closesConnection, sqlStateOf } from './sql-state.ts';
import { ConnectionFailure, type FollowedResult, type Reply } from './connection.ts';

/** One or several statements on the wire, sent together. */
export interface Exchange {
  /** ReadyForQuery messages still to come. */
  pending: number;
  /** The error that the server sent, if any. */
  error: unknown;
  /** Called at the end. @param failed `undefined` when the server is ready and sent no error. */
  done(failed: ConnectionFailure | undefined): void;
}

/** pg calls this with an error as soon as it arrives, and with a result once the server is ready. */
export type PgCallback<Row extends QueryResultRow> = (
  error: unknown,
  result: PgResult<Row>,
) => void;

/** One statement. Only one object and one function per query, because allocations here cost throughput. */
export class SingleExchange<Row extends QueryResultRow> implements Exchange {
  pending = 1;
  error: unknown = undefined;
  readonly take: PgCallback<Row>;
  readonly #reply: Reply<Row>;
  #answer: QueryResult<Row> | undefined = undefined;

  constructor(reply: Reply<Row>) {
    this.#reply = reply;
    this.take = (error, result) => {
      if (isNone(error)) this.#answer = lastOf(result);
      else this.error ??= error;
    };
  }

  done(failed: ConnectionFailure | undefined): void {
    if (failed === undefined && this.#answer !== undefined) this.#reply.answered(this.#answer);
    else this.#reply.failed(failed ?? noReply());
  }
}

/** A statement followed by a second one, whose failure does not affect the first. */
export class FollowedExchange<Row extends QueryResultRow> implements Exchange {
  pending = 2;
  error: unknown = undefined;
  readonly takeFirst: PgCallback<Row>;
  readonly takeNext: PgCallback<QueryResultRow>;
  readonly #resolve: (outcome: FollowedResult<Row>) => void;
  readonly #reject: (failure: ConnectionFailure) => void;
  #result: QueryResult<Row> | undefined;
  #next: QueryResult | undefined;

  constructor(
    resolve: (outcome: FollowedResult<Row>) => void,
    reject: (failure: ConnectionFailure) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.takeFirst = (error, result) => {
      if (isNone(error)) this.#result = lastOf(result);
      else this.error ??= error;
    };
    this.takeNext = (error, result) => {
      if (isNone(error)) this.#next = lastOf(result);
    };
  }

  done(failed: ConnectionFailure | undefined): void {
    if (this.#result === undefined) this.#reject(failed ?? noReply());
    else this.#resolve({ result: this.#result, next: this.#next });
  }
}

/** Several statements, each with its own reply. */
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

  callbackAt(at: number): PgCallback<QueryResultRow> {
    return (error, result) => {
      if (this.#settled.has(at)) return;
      if (isNone(error)) this.#settled.set(at, { status: 'fulfilled', value: lastOf(result) });
      else if (closesConnection(sqlStateOf(error))) this.error ??= error;
      else {
        const reason = new ConnectionFailure('refused', error, true);
        this.#settled.set(at, { status: 'rejected', reason });
      }
    };
  }

  /** Rejects a statement that is not sent, so no reply is expected for it. */
  refuse(at: number, failure: ConnectionFailure): void {
    this.pending -= 1;
    this.#settled.set(at, { status: 'rejected', reason: failure });
  }

  done(failed: ConnectionFailure | undefined): void {
    // Made only where it is needed, because an Error takes the stack.
    let rest: PromiseRejectedResult | undefined;
    const missing = (): PromiseRejectedResult =>
      (rest ??= { status: 'rejected', reason: failed ?? noReply() });
    this.#resolve(
      Array.from({ length: this.#count }, (_, at) => this.#settled.get(at) ?? missing()),
    );
  }
}

function isNone(error: unknown): boolean {
  return error === undefined || error === null;
}

function noReply(): ConnectionFailure {
  return new ConnectionFailure('refused', undefined, true);
}

/** A text with several statements gives the result of the last. */
function lastOf<Row extends QueryResultRow>(result: PgResult<Row>): QueryResult<Row> {
  return Array.isArray(result) ? result.at(-1) : result;
}
