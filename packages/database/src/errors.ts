import { HoldfastError, type Outcome } from '@holdfast/foundation';

/** How far a statement had come: nothing written to the socket, sent, or COMMIT sent. */
export type Phase = 'not-sent' | 'sent' | 'commit-sent';

/** One host's links at a moment. */
export interface PoolSnapshot {
  /** `host:port`. */
  readonly host: string;
  readonly max: number;
  /** What the server lets in at this time, as learned from its refusals; at most `max`. */
  readonly cap: number;
  readonly total: number;
  readonly idle: number;
  /** Lent, or being cleared before they can be lent again. */
  readonly busy: number;
  readonly connecting: number;
  readonly waiting: number;
  /** Why the last attempt to connect failed, while none has succeeded since. */
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

/** What every failed call of a database carries. */
export abstract class DatabaseError extends HoldfastError {
  readonly phase: Phase;
  declare readonly outcome: Outcome;
  /** Five characters, as the server gave them. */
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

/** No link came free in time; nothing was sent. Says who holds them and why none could be made. */
export class AcquireTimeoutError extends DatabaseError {
  readonly code = 'DATABASE_ACQUIRE_TIMEOUT';
  readonly waitedMs: number;

  constructor(waitedMs: number, pool: PoolSnapshot, cause?: unknown) {
    const why = pool.connectError === undefined ? '' : `, last connect: ${pool.connectError}`;
    super(
      `no link to ${pool.host} within ${Math.round(waitedMs)} ms (${pool.busy} busy, ${pool.idle} idle, ` +
        `${pool.connecting} connecting, ${pool.waiting} waiting, cap ${pool.cap}${why}); nothing was sent, ` +
        'call again later',
      { cause, phase: 'not-sent', outcome: 'not-applied', retryable: true, host: pool.host, pool },
    );
    this.waitedMs = waitedMs;
  }
}

/** As many callers wait as may; nothing was sent. */
export class PoolOverloadedError extends DatabaseError {
  readonly code = 'DATABASE_POOL_OVERLOADED';

  constructor(pool: PoolSnapshot) {
    super(
      `${pool.waiting} callers wait for a link to ${pool.host} already; nothing was sent, call again ` +
        'later or raise maxWaiting',
      { phase: 'not-sent', outcome: 'not-applied', retryable: true, host: pool.host, pool },
    );
  }
}

/** The call's time was over; the server was told to stop. */
export class QueryTimeoutError extends DatabaseError {
  readonly code = 'DATABASE_QUERY_TIMEOUT';
  readonly timeoutMs: number;

  constructor(timeoutMs: number, details: DatabaseErrorDetails) {
    const next =
      details.phase === 'not-sent'
        ? 'nothing was sent'
        : 'the server was told to stop, but it may have taken effect';
    super(
      `no answer of ${details.host ?? 'the database'} within ${timeoutMs} ms; ${next}`,
      details,
    );
    this.timeoutMs = timeoutMs;
  }
}

/** The server refused the statement, and said why in `sqlState` and `cause`. */
export class QueryFailedError extends DatabaseError {
  readonly code = 'DATABASE_QUERY_FAILED';
  /** What pg makes of the server's message, with `detail`, `constraint`, `position` and so on. */
  declare readonly cause: unknown;
}

/** The link was lost. `outcome` is `not-applied` where nothing was sent or the transaction was still open. */
export class ConnectionLostError extends DatabaseError {
  readonly code = 'DATABASE_CONNECTION_LOST';
}

/** The server will not have this client (password, database, TLS, version): waiting would not help. */
export class ConnectRefusedError extends DatabaseError {
  readonly code = 'DATABASE_CONNECT_REFUSED';
}

/** COMMIT was sent and the link lost before its answer: the transaction is whole, or not there at all. */
export class CommitUnknownError extends DatabaseError {
  readonly code = 'DATABASE_COMMIT_UNKNOWN';
}

/** COMMIT was answered with ROLLBACK, because a statement had failed before: nothing was kept. */
export class CommitRolledBackError extends DatabaseError {
  readonly code = 'DATABASE_COMMIT_ROLLED_BACK';
}

/** Inside a transaction its own database was asked for a second link, which can wait for ever. */
export class NestedAcquireError extends DatabaseError {
  readonly code = 'DATABASE_NESTED_ACQUIRE';

  constructor(asked: string) {
    super(
      `${asked} inside a transaction of the same database would wait for a second link while holding the ` +
        'first; use the transaction that was handed in. Nothing was sent',
      { phase: 'not-sent', outcome: 'not-applied', retryable: false },
    );
  }
}

/** The transaction, lease or reader has ended; the statement was not sent. */
export class TransactionEndedError extends DatabaseError {
  readonly code = 'DATABASE_TRANSACTION_ENDED';

  constructor(handle: string, cause?: unknown) {
    super(`the ${handle} has ended; nothing was sent`, {
      cause,
      phase: 'not-sent',
      outcome: 'not-applied',
      retryable: false,
    });
  }
}

/** No host takes writes at this time, or none was fresh enough for the read; nothing was sent. */
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
