import type { QueryResultRow } from 'pg';
import type { QueryResult, Statement } from '../database.ts';
import { errorMessage } from './sql-state.ts';

/** The state in ReadyForQuery: idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** One authenticated connection to a server. It runs one exchange at a time. */
export interface Connection {
  readonly backendPid: number;
  /** As of the last reply. */
  readonly status: TransactionStatus;
  /** The command tags that the server sent in the last exchange, such as `COMMIT`, in order. */
  readonly commands: readonly string[];
  /** It is usable, but must be closed instead of reused: a statement that is prepared on it has become invalid. */
  readonly mustClose: boolean;
  /** False once it is lost or destroyed. */
  readonly alive: boolean;
  /**
   * Called once, in the tick in which the loss is detected or the connection destroyed, after the exchange
   * under way was rejected.
   */
  onLost: ((error: unknown) => void) | undefined;
  /** Sends one statement; `reply` is called once the server is ready for the next exchange. */
  send<Row extends QueryResultRow>(statement: Statement, reply: Reply<Row>): void;
  /**
   * As `send`, with a promise.
   * @throws ConnectionFailure
   */
  run<Row extends QueryResultRow>(statement: Statement): Promise<QueryResult<Row>>;
  /**
   * As `run`, with a second statement in the same message, whose failure does not affect the first.
   * @throws ConnectionFailure
   */
  runFollowedBy<Row extends QueryResultRow>(
    statement: Statement,
    next: Statement,
  ): Promise<FollowedResult<Row>>;
  /** Sends all statements at once; each settles with its own reply, in order. */
  pipeline<Row extends QueryResultRow>(
    statements: readonly Statement[],
  ): Promise<PipelinedResult<Row>[]>;
  /**
   * Asks the server, on another socket, to cancel the running statement. Resolves once that socket is closed,
   * so that the request cannot hit a later statement, or after `timeoutMs`; never rejects.
   * @returns whether the server has certainly handled the request.
   */
  cancel(timeoutMs: number): Promise<boolean>;
  /** Whether the socket keeps the process alive. */
  hold(holds: boolean): void;
  /** Sends Terminate and closes, without waiting for the server. */
  close(): void;
  /** Closes the socket at once. The exchange under way rejects. */
  destroy(): void;
}

/** Receives the reply to a statement: one of the two methods is called, once, in the tick of its arrival. */
export interface Reply<Row extends QueryResultRow> {
  answered(result: QueryResult<Row>): void;
  failed(failure: ConnectionFailure): void;
}

/** The result of a statement, and that of the following one if it succeeded too. */
export interface FollowedResult<Row extends QueryResultRow> {
  readonly result: QueryResult<Row>;
  readonly next: QueryResult | undefined;
}

/** The result of one statement of several. */
export type PipelinedResult<Row extends QueryResultRow> = PromiseSettledResult<QueryResult<Row>> & {
  /** `undefined` if the statement was not sent, or the connection lost before the server was ready again. */
  readonly reply?: StatementReply | undefined;
};

/** What the server said of a statement besides its result. */
export interface StatementReply {
  /** The command tags, in order. */
  readonly commands: readonly string[];
  /** Of the session, after it. */
  readonly status: TransactionStatus;
}

/** Opens a connection that is ready for use; rejects with the original error. */
export type Connect = (options: { signal: AbortSignal }) => Promise<Connection>;

/** A new connection works, but the pool's user rejected it: a failure of one caller, and not of the host. */
export class ConnectionRejected extends Error {
  constructor(cause: unknown) {
    super(`the new connection was rejected: ${errorMessage(cause)}`, { cause });
  }
}

/** An exchange failed; `cause` is the error of the server or of the socket. */
export class ConnectionFailure extends Error {
  /**
   * `refused`: the server sent an error and the connection is usable. `unparsed`: the server has executed the
   * statement, what it answered could not be parsed, and the connection is usable. `lost`: the connection is dead.
   */
  readonly kind: 'refused' | 'unparsed' | 'lost';
  /** Whether any part of the statement was written to the socket. */
  readonly sent: boolean;
  /** The command tags that the server had sent by then. */
  readonly commands: readonly string[];
  /** The server refused the statement, but may have committed a part of it before. */
  mayHaveCommitted = false;

  constructor(
    kind: ConnectionFailure['kind'],
    cause: unknown,
    sent: boolean,
    commands: readonly string[] = [],
  ) {
    super(errorMessage(cause), { cause });
    this.kind = kind;
    this.sent = sent;
    this.commands = commands;
  }
}
