import type { QueryResultRow } from 'pg';
import type { QueryResult, Statement } from '../database.ts';

/** What the server says with ReadyForQuery: idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** One authenticated connection to a server; it runs one exchange at a time. */
export interface Link {
  readonly backendPid: number;
  /** As of the last reply. */
  readonly status: TransactionStatus;
  /** What the server confirmed in the last exchange, such as `COMMIT`, in order. */
  readonly commands: readonly string[];
  /** False once it is lost or destroyed. */
  readonly alive: boolean;
  /**
   * Called once, in the same tick in which the loss is seen or the link destroyed; the exchange under way
   * rejects first.
   */
  onLost: ((error: unknown) => void) | undefined;
  /** Sends one statement; the reply is told once the server is ready for the next exchange. */
  send<Row extends QueryResultRow>(statement: Statement, reply: Reply<Row>): void;
  /**
   * As `send`, for one who waits.
   * @throws LinkFailure
   */
  run<Row extends QueryResultRow>(statement: Statement): Promise<QueryResult<Row>>;
  /**
   * As `run`, with a second statement in the same message; what becomes of that one does not touch the first.
   * @throws LinkFailure
   */
  runThen<Row extends QueryResultRow>(
    statement: Statement,
    then: Statement,
  ): Promise<{ readonly result: QueryResult<Row>; readonly behind: QueryResult | undefined }>;
  /** All of them at once; each settles with its own reply, in order. */
  pipeline(statements: readonly Statement[]): Promise<PromiseSettledResult<QueryResult>[]>;
  /**
   * Asks the server, by another socket, to stop what runs here. Resolves when that socket is closed, so that
   * the request cannot hit anything sent after that, or after `timeoutMs`; never rejects.
   * @returns whether the request is over for certain.
   */
  cancel(timeoutMs: number): Promise<boolean>;
  /** Whether it keeps the process from ending. */
  hold(holds: boolean): void;
  /** Takes leave of the server without waiting for it. */
  close(): void;
  /** Cuts it: nothing more is sent. What is under way rejects. */
  destroy(): void;
}

/** Who is told of an answer: one of the two is called, once, in the tick in which it has come. */
export interface Reply<Row extends QueryResultRow> {
  answered(result: QueryResult<Row>): void;
  failed(failure: LinkFailure): void;
}

/** Makes a link, ready for use; rejects with what went wrong, in its own words. */
export type Connect = (options: { signal: AbortSignal }) => Promise<Link>;

/** Why an exchange failed. */
export class LinkFailure {
  /** `refused`: the server said no, and the link stands. `lost`: there is no link any more. */
  readonly kind: 'refused' | 'lost';
  readonly error: unknown;
  /** Whether anything of it was written. */
  readonly sent: boolean;
  /** The commands the server had confirmed until then. */
  readonly commands: readonly string[];

  constructor(
    kind: LinkFailure['kind'],
    error: unknown,
    sent: boolean,
    commands: readonly string[] = [],
  ) {
    this.kind = kind;
    this.error = error;
    this.sent = sent;
    this.commands = commands;
  }
}
