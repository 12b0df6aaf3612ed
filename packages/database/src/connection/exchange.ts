import type { QueryResult as PgResult, QueryResultRow } from 'pg';
import type { QueryResult } from '../database.ts';
import { closesConnection } from './sql-state.ts';
import {
  ConnectionFailure,
  type FollowedResult,
  type PipelinedResult,
  type Reply,
  type StatementReply,
  type TransactionStatus,
} from './connection.ts';
import { mayHaveCommitted } from './transaction-control.ts';

/** One or several statements on the wire, sent together. */
export interface Exchange {
  /** ReadyForQuery messages still to come. */
  pending: number;
  /** The error that the server sent, if any, or that of pg before it sent the statement. */
  error: unknown;
  /** What pg's calls back at this moment are about. */
  stage: Stage;
  /** The error that the server sent for the present statement: pg calls back with that of a parser instead. */
  refusal: unknown;
  /** Whether pg has sent the statement whose error is {@link error}. */
  wasSent: boolean;
  /** Of the statement, or of the first. */
  text: string;
  /** Called with each command tag. */
  tagged?(tag: string): void;
  /** Called each time that the server is ready, once pg has called back. */
  answered?(status: TransactionStatus): void;
  /** Called at the end. @param failed `undefined` when the server is ready and sent no error. */
  done(failed: ConnectionFailure | undefined): void;
}

/** pg is sending; it waits; or the server has said that it is ready, and so has executed a statement. */
type Stage = 'sending' | 'waiting' | 'ready';

/** pg calls this with an error as soon as it arrives, and with a result once the server is ready. */
export type PgCallback<Row extends QueryResultRow> = (
  error: unknown,
  result: PgResult<Row>,
) => void;

/** One statement. Only one object and one function per query, because allocations here cost throughput. */
export class SingleExchange<Row extends QueryResultRow> implements Exchange {
  pending = 1;
  error: unknown = undefined;
  stage: Stage = 'waiting';
  wasSent = true;
  text = '';
  refusal: unknown = undefined;
  readonly take: PgCallback<Row>;
  readonly #reply: Reply<Row>;
  #answer: QueryResult<Row> | undefined = undefined;
  #unparsed: ConnectionFailure | undefined = undefined;

  constructor(reply: Reply<Row>) {
    this.#reply = reply;
    this.take = (error, result) => {
      if (isNone(error)) this.#answer = lastOf(result);
      else if (this.stage === 'ready') this.#unparsed = unparsed(error);
      else fail(this, error);
    };
  }

  done(failed: ConnectionFailure | undefined): void {
    if (failed === undefined && this.#answer !== undefined) this.#reply.answered(this.#answer);
    else this.#reply.failed(failed ?? this.#unparsed ?? noReply());
  }
}

/** A statement followed by a second one, whose failure does not affect the first. */
export class FollowedExchange<Row extends QueryResultRow> implements Exchange {
  pending = 2;
  error: unknown = undefined;
  stage: Stage = 'waiting';
  wasSent = true;
  text = '';
  refusal: unknown = undefined;
  readonly takeFirst: PgCallback<Row>;
  readonly takeNext: PgCallback<QueryResultRow>;
  readonly #resolve: (outcome: FollowedResult<Row>) => void;
  readonly #reject: (failure: ConnectionFailure) => void;
  #result: QueryResult<Row> | undefined;
  #unparsed: ConnectionFailure | undefined;
  #next: QueryResult | undefined;

  constructor(
    resolve: (outcome: FollowedResult<Row>) => void,
    reject: (failure: ConnectionFailure) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.takeFirst = (error, result) => {
      // After an error of pg's own the server is ready too, without a result.
      if (isNone(error)) this.#result = this.error === undefined ? lastOf(result) : undefined;
      else if (this.stage === 'ready') this.#unparsed = unparsed(error);
      else fail(this, error);
    };
    this.takeNext = (error, result) => {
      if (isNone(error)) this.#next = lastOf(result);
    };
  }

  done(failed: ConnectionFailure | undefined): void {
    if (this.#result === undefined) this.#reject(failed ?? this.#unparsed ?? noReply());
    else this.#resolve({ result: this.#result, next: this.#next });
  }
}

/** Several statements, each with its own reply. */
export class PipelinedExchange<Row extends QueryResultRow> implements Exchange {
  pending: number;
  error: unknown = undefined;
  stage: Stage = 'waiting';
  wasSent = true;
  text = '';
  refusal: unknown = undefined;
  readonly #count: number;
  readonly #resolve: (settled: PipelinedResult<Row>[]) => void;
  readonly #settled = new Map<number, PromiseSettledResult<QueryResult<Row>>>();
  /** Those that were sent, in order. */
  readonly #sent: { readonly at: number; readonly text: string }[] = [];
  readonly #replies = new Map<number, StatementReply>();
  /** The tags of the statement that is under way. */
  #tags: string[] = [];

  constructor(count: number, resolve: (settled: PipelinedResult<Row>[]) => void) {
    this.pending = count;
    this.#count = count;
    this.#resolve = resolve;
  }

  callbackAt(at: number, text: string): PgCallback<Row> {
    this.#sent.push({ at, text });
    return (given, result) => {
      if (this.#settled.has(at)) return;
      const error = this.refusal ?? given;
      if (isNone(error)) this.#settled.set(at, { status: 'fulfilled', value: lastOf(result) });
      else if (this.stage !== 'ready' && closesConnection(error)) this.error ??= error;
      else {
        const reason =
          this.stage === 'ready'
            ? unparsed(error)
            : refused(error, this.stage !== 'sending', { commands: this.#tags, status: 'I', text });
        this.#settled.set(at, { status: 'rejected', reason });
      }
    };
  }

  tagged(tag: string): void {
    this.#tags.push(tag);
  }

  answered(status: TransactionStatus): void {
    const commands = this.#tags;
    this.#tags = [];
    const sent = this.#sent[this.#replies.size];
    if (sent === undefined) return;
    this.#replies.set(sent.at, { commands, status });
    const settled = this.#settled.get(sent.at);
    const failure = settled?.status === 'rejected' ? settled.reason : undefined;
    if (failure instanceof ConnectionFailure && failure.mayHaveCommitted) {
      failure.mayHaveCommitted = mayHaveCommitted({ commands, status, text: sent.text });
    }
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
      Array.from({ length: this.#count }, (_, at) => {
        const reply = this.#replies.get(at);
        return { ...(this.#settled.get(at) ?? missing()), reply };
      }),
    );
  }
}

/** The server has refused a statement. @param reply as far as it is known. */
export function refused(
  error: unknown,
  sent: boolean,
  reply: StatementReply & { readonly text: string },
): ConnectionFailure {
  const failure = new ConnectionFailure('refused', error, sent, reply.commands);
  failure.mayHaveCommitted = sent && mayHaveCommitted(reply);
  return failure;
}

function isNone(error: unknown): boolean {
  return error === undefined || error === null;
}

function fail(exchange: Exchange, error: unknown): void {
  if (exchange.error !== undefined) return;
  exchange.error = exchange.refusal ?? error;
  exchange.wasSent = exchange.stage !== 'sending';
}

/** A parser of the caller has thrown, at what the server answered. */
function unparsed(error: unknown): ConnectionFailure {
  return new ConnectionFailure('unparsed', error, true);
}

function noReply(): ConnectionFailure {
  return new ConnectionFailure('refused', undefined, true);
}

/** A text with several statements gives the result of the last. */
function lastOf<Row extends QueryResultRow>(result: PgResult<Row>): QueryResult<Row> {
  return Array.isArray(result) ? result.at(-1) : result;
}
