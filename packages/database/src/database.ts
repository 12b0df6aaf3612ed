import type { Subscribe } from '@holdfast/foundation';
import type { DurationCounts } from '@holdfast/foundation/metrics';
import type { CustomTypesConfig, FieldDef, QueryResultRow } from './calls/pg-types.ts';
import type { PoolSnapshot } from './errors.ts';
import type { DatabaseEvents, HostRole } from './events.ts';
import type { Token } from './connection/token.ts';

/**
 * A Postgres database behind one or more hosts.
 *
 * What it promises:
 * - **Deadlines**: every call settles by its deadline (`timeoutMs`, else the corresponding option), whatever
 *   the server, the network or the pool does. The deadline covers the whole call: waiting for a connection,
 *   connecting, the query and a replay. A query past its deadline is cancelled on the server, and its
 *   connection is not reused until the server has confirmed its end.
 * - **Outcomes**: an error says whether the statement took effect: `not-applied` (nothing reached the
 *   server, or the server said so), `unknown` (it was sent and no reply arrived, or its text may have committed a part
 *   before it failed: after `commit`, or in `call`, `do`, `vacuum` and so on) or `applied`. Never a guess.
 * - **Replay**: after a lost connection, `read` and calls marked `idempotent` are sent once more on another
 *   one; further losses of connections that existed at the first loss do not count. Any other statement is
 *   sent at most once, and again only if it never reached a socket.
 * - **Connections**: none is reused while a transaction is open on it or a reply unread. A connection that
 *   dies, idle or leased, never ends the process.
 * - **Fairness**: callers are served in order, wait while the server is down, and beyond `maxWaiting` are
 *   rejected at once.
 */
export interface Database extends Queryable {
  /** Subscribes to an event; the same events are published on `holdfast:database:<kind>`. */
  readonly on: Subscribe<DatabaseEvents>;
  /**
   * Runs `work` in a transaction, commits, and returns the commit's position in the log. Runs it again on
   * 40001 and 40P01, up to `maxRetries`, so `work` must have no effect outside of `tx`. When `work` throws,
   * the transaction is rolled back and the error passed on unchanged.
   * @throws CommitUnknownError when the connection was lost between COMMIT and its reply, CommitRolledBackError
   *   when the server replied to it with ROLLBACK, ConnectionLostError (outcome `not-applied`) when it was lost
   *   before COMMIT, TransactionControlError when a statement would end the transaction, NestedAcquireError inside
   *   another transaction of this database. When a statement was interrupted the transaction is rolled back, and rejects
   *   with QueryTimeoutError or the signal's reason, also where `work` has caught that. A signal that aborts while COMMIT
   *   is under way rejects with its reason too: whether the transaction was committed is unknown then.
   */
  transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>>;
  /**
   * Runs reads on a host that is fresh enough, else on the primary; once more on another host if that one is
   * lost. `work` must only read and have no effect outside: its statements may be sent twice. Each uses its own
   * connection, so together they are not one snapshot.
   */
  read<T>(
    consistency: Consistency,
    work: (reader: Reader) => Promise<T> | T,
    options?: CallOptions,
  ): Promise<T>;
  /** A sequence of calls that reads its own writes, and never reads older data than before. */
  session(): Session;
  /**
   * Sends the statements at once on one connection, each in its own transaction, and returns their results in
   * order. A failed statement does not stop the others. At the deadline, and when the signal aborts, the connection is
   * closed, so that the server does not go on with the rest; what it has received may still run.
   * @throws BatchFailedError with the result of each, if at least one failed: QueryTimeoutError (`unknown`) of those that
   *   had not been answered at the deadline, TransactionControlError of those whose transaction, begun in the batch, was
   *   not committed. Or the signal's reason.
   */
  batch(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>;
  /** Leases a connection; the caller must release it, or dispose of it with `await using`. */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /**
   * The state of the hosts as already known; it waits for nothing. From the first call on a single host is probed in
   * the background each `probeIntervalMs`, so that no answer is older than that and a probe; where only older replies
   * are known, as at the first call after a silence, its role is `unknown`. A host that is reached and refuses all
   * writes is a `standby`, and a pooler that accepts connections while its server is away is `offline`.
   */
  health(): DatabaseHealth;
  getStats(): DatabaseStats;
  /**
   * Rejects new calls, waits for those under way for at most `deadlineMs` (default 10 000), then cancels their
   * statements on the server, which may take `cancelGraceMs`, and closes the connections; those calls reject with
   * DatabaseClosedError. Later calls return the same promise, and shorten the deadline if theirs is earlier.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
  /** @deprecated Use `close`. */
  end(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs statements. */
export interface Queryable {
  /**
   * @param values one for each `$1`, `$2`, ...; `undefined` is rejected, `null` is SQL's.
   * @throws QueryFailedError with the server's SQLSTATE, QueryTimeoutError, AcquireTimeoutError,
   *   TransactionControlError (it left a transaction open), PoolOverloadedError, ConnectionLostError, ConnectRefusedError, CallbackFailedError,
   *   NoWritableHostError, DatabaseClosedError, InvalidOptionError, or the signal's own reason.
   */
  query<Row extends QueryResultRow = QueryResultRow>(
    statement: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>;
}

/** A statement with its values. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  /** Prepared under this name, once on each connection. */
  readonly name?: string | undefined;
  /** Rows as arrays instead of objects. */
  readonly rowMode?: 'array' | undefined;
  /** Parsers of the values that the server sends, by type, as in pg. Default: pg's own. */
  readonly types?: CustomTypesConfig | undefined;
}

/** What a statement returned. */
export interface QueryResult<Row extends QueryResultRow = QueryResultRow> {
  readonly rows: Row[];
  /** Rows returned or affected; `null` for a command that has no such number. */
  readonly rowCount: number | null;
  /** The command's tag, such as `SELECT` or `INSERT`. */
  readonly command: string;
  readonly fields: FieldDef[];
}

/** Options that every call has. */
export interface CallOptions {
  /** Rejects the call with the signal's reason; a query under way is cancelled on the server. */
  signal?: AbortSignal | undefined;
  /**
   * How long the whole call may take, in milliseconds, its wait for a connection included. Default `queryTimeoutMs`, of
   * which it may wait `acquireTimeoutMs`.
   */
  timeoutMs?: number | undefined;
}

/** Options of `query`. */
export interface QueryOptions extends CallOptions {
  /** The statement may safely run twice: it is sent once more if its connection is lost. Default false. */
  idempotent?: boolean | undefined;
}

/** Options of `acquire`. */
export interface AcquireOptions {
  /** Stops waiting for a connection, with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** How long it may take to get a connection, in milliseconds. Default `acquireTimeoutMs`. */
  timeoutMs?: number | undefined;
}

/** A leased connection. */
export interface Lease extends Queryable, AsyncDisposable {
  /** `host:port` of the server. */
  readonly host: string;
  /** The process id of the server's backend. */
  readonly backendPid: number;
  /**
   * Returns the connection; a second call does nothing. An open transaction is rolled back first.
   * @param broken closes the connection instead of keeping it.
   */
  release(broken?: boolean): void;
}

/**
 * Runs the statements of a transaction; rejects with TransactionEndedError once it has ended. Calls take effect in their
 * order, whether or not each is awaited: all use one connection, so a call while a nested transaction is open waits
 * until that one has ended, a query at most its `timeoutMs`, a nested transaction at most until the outer one ends.
 */
export interface Transaction extends Queryable {
  /** The number of this run of the callback, from 1. */
  readonly attempt: number;
  /** Aborted when the transaction's connection is lost, its deadline passed, or its caller gave up. */
  readonly signal: AbortSignal;
  /**
   * Runs `work` under a savepoint: if it throws, only its own changes are rolled back. Nested transactions of one
   * handle run one after the other; `work` uses the handle that it is passed.
   * @throws TransactionEndedError when the outer one ends first. While `work` runs, calls in it of an outer handle are
   *   rejected with OuterTransactionBusyError: they would wait for `work` itself.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T>;
}

/** The isolation level of a transaction, as Postgres names it. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

/** Options of `transaction`. */
export interface TransactionOptions extends CallOptions {
  /** Default: the server's own. */
  isolation?: Isolation | undefined;
  /** The transaction may not write. Default false. */
  readOnly?: boolean | undefined;
  /** Further runs after a serialization failure or a deadlock. Default 5. */
  maxRetries?: number | undefined;
  /** Also run again when the connection was lost before COMMIT was sent. Default false. */
  rerunOnLoss?: boolean | undefined;
  /**
   * Writes a marker row in the transaction, by which the outcome of a COMMIT whose reply was lost is found,
   * instead of reported as unknown; needs the table of `markerTableSql`, without which every transaction fails (42P01).
   * An abort while COMMIT is under way still rejects with the signal's reason. With `readOnly` no row is written, because
   * there is nothing to find. Default false.
   */
  resolveCommit?: boolean | undefined;
}

/** What a committed transaction returned, and where its commit is in the log. */
export interface TransactionResult<T> {
  readonly value: T;
  /**
   * The commit's position in the log, for `read({ after: token })`. Where only the commit is known (it was found by
   * `resolveCommit`, or the connection was lost right after it) it stands for the latest: timeline 0 and
   * `FFFFFFFF/FFFFFFFF`, and reads after it go to the primary.
   */
  readonly token: Token;
}

/**
 * How fresh a read must be: `strong` reads from the primary; `any` from any host; `after` from a host that
 * has replayed the token; `maxLagMs` from one that is at most so far behind.
 */
export type Consistency =
  | 'strong'
  | 'any'
  | { readonly after: Token | undefined }
  | { readonly maxLagMs: number };

/** Runs the statements of a read. */
export interface Reader extends Queryable {
  /** `host:port` of the server. */
  readonly host: string;
  readonly role: 'primary' | 'standby';
}

/** Reads its own writes: it carries the token. Reads stay on one replica while that one is healthy. */
export interface Session extends Queryable {
  /** The latest position that this session has written or read. */
  readonly token: Token | undefined;
  /** Continues from the token of another session, such as one of another process. */
  observe(token: Token): void;
  /** As the database's, and keeps the token; `query` does so too, on the primary. */
  transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>>;
  read<T>(work: (reader: Reader) => Promise<T> | T, options?: CallOptions): Promise<T>;
}

/** What is known of one host. */
export interface HostHealth {
  /** `host:port`. */
  readonly host: string;
  readonly role: HostRole;
  /** Why it is offline or fenced, or why the last attempt to connect failed. */
  readonly reason?: string;
  readonly timeline?: number;
  /** How far a standby was behind when last probed. */
  readonly lagMs?: number;
  /** Smoothed round-trip time. */
  readonly latencyMs?: number;
  readonly pool: PoolSnapshot;
}

/** What an operator has to know of a database, computed when it is asked for. */
export interface DatabaseHealth {
  /**
   * `healthy`: all hosts are available; `degraded`: writes are accepted, but a host is not available, or the last
   * connection to the primary was lost and the probe that tells whether it is away is under way, for at most
   * `probeTimeoutMs`; `critical`: no host is known to accept writes, or the database is closed: every host is
   * `offline` then.
   */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly primary: string | undefined;
  readonly hosts: readonly HostHealth[];
}

/** Counters of one host since the start. */
export interface PoolStats extends PoolSnapshot {
  readonly acquired: number;
  readonly acquireTimeouts: number;
  readonly overloaded: number;
  readonly connects: number;
  readonly connectFailures: number;
  readonly lost: number;
  readonly retired: number;
  readonly cancels: number;
  readonly leaks: number;
  readonly waitMs: DurationCounts;
  readonly useMs: DurationCounts;
  readonly connectMs: DurationCounts;
}

/** Numbers of a database: what it holds now, and what it has counted since its start. */
export interface DatabaseStats {
  readonly hosts: readonly PoolStats[];
  readonly queries: number;
  readonly queryTimeouts: number;
  readonly replays: number;
  readonly transactions: number;
  readonly transactionRetries: number;
  readonly commitsUnknown: number;
  readonly commitsResolved: number;
  readonly replicaReads: number;
  /** Reads that went to the primary because no replica was fresh enough. */
  readonly primaryFallbacks: number;
}
