import { HoldfastError, type Outcome } from '@holdfast/foundation';
import type { Token } from './connection/token.ts';

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

/** What an error tells beside its message. */
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

  /** @param wait how long it waited, and the timeout of the call or of its wait, which was over then. */
  constructor(
    { waitedMs, timeoutMs }: { readonly waitedMs: number; readonly timeoutMs: number },
    pool: PoolSnapshot,
    cause?: unknown,
  ) {
    const why = pool.connectError === undefined ? '' : `, last connect: ${pool.connectError}`;
    const ofMs =
      waitedMs < timeoutMs - 1 ? `; of its timeout ${Math.round(waitedMs)} ms were left` : '';
    super(
      `no connection to ${pool.host} within the timeout of ${timeoutMs} ms (${pool.busy} busy, ${pool.idle} idle, ` +
        `${pool.connecting} connecting, ${pool.waiting} waiting, cap ${pool.cap} of max ${pool.max}${why})${ofMs}; ` +
        'nothing was sent, call again later, or raise timeoutMs, acquireTimeoutMs or max',
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

  /** @param seen what did not come in time. */
  constructor(
    timeoutMs: number,
    details: DatabaseErrorDetails,
    seen = `no answer of ${details.host ?? 'the database'}`,
  ) {
    const { phase, outcome } = details;
    const next =
      phase === 'not-sent'
        ? 'nothing was sent'
        : outcome === 'not-applied'
          ? 'the transaction was not committed, and is rolled back'
          : 'the server was asked to cancel it, but it may have taken effect';
    super(`${seen} within ${timeoutMs} ms; ${next}`, details);
    this.timeoutMs = timeoutMs;
  }
}

/** Whether the time of a call was over before anything of it was sent. */
export function isUnsentTimeout(error: unknown): boolean {
  return (
    error instanceof AcquireTimeoutError ||
    (error instanceof QueryTimeoutError && error.phase === 'not-sent')
  );
}

/**
 * The server rejected the statement; `sqlState` and `cause` have its error. Or it has executed the statement, and a type
 * parser of the caller has thrown at its answer: `cause` is what it threw, and `outcome` is `applied`. After a text that may
 * have committed a part before its error `outcome` is `unknown`.
 */
export class QueryFailedError extends DatabaseError {
  readonly code = 'DATABASE_QUERY_FAILED';
  /** pg's error of the server's message, if that is why it failed, with `detail`, `constraint`, `position` and so on. */
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

/**
 * The `password` or `lookup` function of this database has thrown, rejected, or returned nothing of use, so no connection
 * could be opened. The host was not asked, and does not count as away.
 */
export class CallbackFailedError extends DatabaseError {
  readonly code = 'DATABASE_CALLBACK_FAILED';
  readonly callback: 'password' | 'lookup';

  constructor(
    callback: CallbackFailedError['callback'],
    details: { readonly host: string; readonly cause: unknown; readonly seen: string },
  ) {
    const { host, cause, seen } = details;
    super(
      `the ${callback} function failed (${seen}), so no connection to ${host} could be opened; nothing was sent, call ` +
        'again once the function works',
      { ...NOT_SENT, cause, retryable: true, host },
    );
    this.callback = callback;
  }
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

/** The callback of a nested transaction called the handle of an outer one, which waits for the nested one to end. */
export class OuterTransactionBusyError extends DatabaseError {
  readonly code = 'DATABASE_OUTER_TRANSACTION_BUSY';

  constructor(call: string) {
    super(
      `${call} of an outer transaction, inside a nested one, would wait for the nested one to end, which waits for ` +
        'its callback; use the handle of the nested transaction, the one passed to its callback. Nothing was sent',
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

/**
 * A statement inside a transaction would end it: `commit`, `rollback`, `prepare transaction` and so on. It is not sent,
 * and the transaction is rolled back. Where only the reply tells, `outcome` is that of the statements before it. Or a
 * statement outside of a transaction has left one open, which was rolled back, or a batch has begun one that could not be
 * committed, because one of its statements had failed.
 */
export class TransactionControlError extends DatabaseError {
  readonly code = 'DATABASE_TRANSACTION_CONTROL';

  /** @param seen what the statement did, or would have done, and what to do instead. */
  constructor(seen: string, details: Pick<DatabaseErrorDetails, 'phase' | 'outcome' | 'host'>) {
    super(seen, { ...details, retryable: false });
  }
}

/** No host accepts writes at this time, or none is fresh enough for the read; nothing was sent. */
export class NoWritableHostError extends DatabaseError {
  readonly code = 'DATABASE_NO_WRITABLE_HOST';
}

/**
 * The server on the latest timeline was promoted without the end of the log that the token stands for: what was
 * committed or read there is lost, or may be. Nothing was changed. To go on from what is left, begin a new session, or
 * read without the token.
 */
export class TokenLostError extends DatabaseError {
  readonly code = 'DATABASE_TOKEN_LOST';
  readonly token: Token;
  readonly timeline: number;
  /** The position at which that timeline began, or a later one. */
  readonly began: string;

  constructor(
    token: Token,
    { timeline, began }: { readonly timeline: number; readonly began: string },
    host: string,
  ) {
    super(
      `${host} was promoted without ${token.lsn} of timeline ${token.timeline}: its timeline ${timeline} began at ` +
        `${began} or before, so what was written there is lost; nothing was changed, read again what is left with a ` +
        'new session, or without the token',
      { ...NOT_SENT, retryable: false, host },
    );
    this.token = token;
    this.timeline = timeline;
    this.began = began;
  }
}

/** The database is closed. */
export class DatabaseClosedError extends DatabaseError {
  readonly code = 'DATABASE_CLOSED';
}

/** Some statements of a batch failed, or were not answered in time; the others took effect. */
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
