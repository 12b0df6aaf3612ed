import { HoldfastError, type Outcome } from '@holdfast/foundation';

/** How far a statement got: nothing was written to the socket, it was sent, or COMMIT was sent. */
export type Phase = 'not-sent' | 'sent' | 'commit-sent';

/** The connections to one host at one moment. */
export interface PoolSnapshot {
  /** `host:port`. */
  readonly host: string;
  readonly max: number;
  /** How many connections the server accepts, as learned from its refusals; at most `max`. */
  readonly cap: number;
  readonly total: number;
  readonly idle: number;
  /** Leased, or being cleaned before reuse. */
  readonly busy: number;
  readonly connecting: number;
  readonly waiting: number;
  /** The error of the last attempt to connect, until one succeeds. */
  readonly connectError?: string;
}

export interface DatabaseErrorDetails {
  readonly cause?: unknown;
  readonly phase: Phase;
  readonly outcome: Outcome;
  readonly retryable: boolean;
  readonly sqlState?: string | undefined;
  /** `host:port`. */
  readonly host?: string | undefined;
  readonly pool?: PoolSnapshot | undefined;
}

/** The details of a call that failed before anything was sent. */
export const NOT_SENT = { phase: 'not-sent', outcome: 'not-applied' } as const;

/** The base of all errors of a database. */
export abstract class DatabaseError extends HoldfastError {
  readonly phase: Phase;
  declare readonly outcome: Outcome;
  /** Five characters, as the server sent them. */
  readonly sqlState?: string;
  readonly host?: string;
  readonly pool?: PoolSnapshot;

  constructor(message: string, details: DatabaseErrorDetails) {
    super(message, {
      retryable: details.retryable,
      outcome: details.outcome,
      ...('cause' in details ? { cause: details.cause } : {}),
    });
    this.phase = details.phase;
    if (details.sqlState !== undefined) this.sqlState = details.sqlState;
    if (details.host !== undefined) this.host = details.host;
    if (details.pool !== undefined) this.pool = details.pool;
  }
}

/** No connection became free in time; nothing was sent. The message has the pool's state. */
export class AcquireTimeoutError extends DatabaseError {
  readonly code = 'DATABASE_ACQUIRE_TIMEOUT';
  readonly waitedMs: number;

  constructor(waitedMs: number, pool: PoolSnapshot, cause?: unknown) {
    const why = pool.connectError === undefined ? '' : `, last connect: ${pool.connectError}`;
    super(
      `no connection to ${pool.host} within ${Math.round(waitedMs)} ms (${pool.busy} busy, ${pool.idle} idle, ` +
        `${pool.connecting} connecting, ${pool.waiting} waiting, cap ${pool.cap}${why}); nothing was sent, ` +
        'call again later',
      { ...NOT_SENT, cause, retryable: true, host: pool.host, pool },
    );
    this.waitedMs = waitedMs;
  }
}

/** `maxWaiting` callers wait already; nothing was sent. */
export class PoolOverloadedError extends DatabaseError {
  readonly code = 'DATABASE_POOL_OVERLOADED';

  constructor(pool: PoolSnapshot) {
    super(
      `${pool.waiting} callers wait for a connection to ${pool.host} already; nothing was sent, call again ` +
        'later or raise maxWaiting',
      { ...NOT_SENT, retryable: true, host: pool.host, pool },
    );
  }
}

/** The call's deadline passed; the statement was cancelled on the server. */
export class QueryTimeoutError extends DatabaseError {
  readonly code = 'DATABASE_QUERY_TIMEOUT';
  readonly timeoutMs: number;

  constructor(timeoutMs: number, details: DatabaseErrorDetails) {
    const next =
      details.phase === 'not-sent'
        ? 'nothing was sent'
        : 'the server was asked to cancel it, but it may have taken effect';
    super(
      `no answer of ${details.host ?? 'the database'} within ${timeoutMs} ms; ${next}`,
      details,
    );
    this.timeoutMs = timeoutMs;
  }
}

/** The server rejected the statement; `sqlState` and `cause` have its error. */
export class QueryFailedError extends DatabaseError {
  readonly code = 'DATABASE_QUERY_FAILED';
  /** pg's error of the server's message, with `detail`, `constraint`, `position` and so on. */
  declare readonly cause: unknown;
}

/** The connection was lost. `outcome` is `not-applied` where nothing was sent or the transaction was still open. */
export class ConnectionLostError extends DatabaseError {
  readonly code = 'DATABASE_CONNECTION_LOST';
}

/** The server rejects this client (password, database, TLS, version): waiting would not help. */
export class ConnectRefusedError extends DatabaseError {
  readonly code = 'DATABASE_CONNECT_REFUSED';
}

/** COMMIT was sent and the connection lost before its reply: the transaction was committed or it was not. */
export class CommitUnknownError extends DatabaseError {
  readonly code = 'DATABASE_COMMIT_UNKNOWN';
}

/** COMMIT was answered with ROLLBACK, because a statement had failed before: nothing was kept. */
export class CommitRolledBackError extends DatabaseError {
  readonly code = 'DATABASE_COMMIT_ROLLED_BACK';
}

/** A transaction asked its own database for a second connection, which could wait forever. */
export class NestedAcquireError extends DatabaseError {
  readonly code = 'DATABASE_NESTED_ACQUIRE';

  constructor(call: string) {
    super(
      `${call} inside a transaction of the same database would wait for a second connection while holding the ` +
        'first; use the transaction passed to the callback. Nothing was sent',
      { ...NOT_SENT, retryable: false },
    );
  }
}

/** The transaction, lease or reader has ended; the statement was not sent. */
export class TransactionEndedError extends DatabaseError {
  readonly code = 'DATABASE_TRANSACTION_ENDED';

  constructor(handle: string, cause?: unknown) {
    super(`the ${handle} has ended; nothing was sent`, { ...NOT_SENT, cause, retryable: false });
  }
}

/** No host accepts writes at this time, or none is fresh enough for the read; nothing was sent. */
export class NoWritableHostError extends DatabaseError {
  readonly code = 'DATABASE_NO_WRITABLE_HOST';
}

/** The database was ended. */
export class DatabaseClosedError extends DatabaseError {
  readonly code = 'DATABASE_CLOSED';
}

/** Some statements of a batch failed; the others took effect. */
export class BatchFailedError extends DatabaseError {
  readonly code = 'DATABASE_BATCH_FAILED';
  /** One for each statement, in order: its result, or its error. */
  readonly results: readonly PromiseSettledResult<unknown>[];

  constructor(results: readonly PromiseSettledResult<unknown>[], details: DatabaseErrorDetails) {
    const failed = results.filter(({ status }) => status === 'rejected').length;
    super(`${failed} of ${results.length} statements failed; see results for each`, details);
    this.results = results;
  }
}
