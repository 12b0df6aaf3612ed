import type { Subscribe } from '@holdfast/foundation';
import type { DurationCounts } from '@holdfast/foundation/metrics';
import type { CustomTypesConfig, FieldDef, QueryResultRow } from 'pg';
import type { PoolSnapshot } from './errors.ts';
import type { DatabaseEvents, HostRole } from './events.ts';

/**
 * A Postgres database behind one or more hosts.
 *
 * What it promises:
 * - **DeadlineQueue**: every call settles by its deadline (`timeoutMs`, else the corresponding option), whatever
 *   the server, the network or the pool does. The deadline covers the whole call: waiting for a connection,
 *   connecting, the query and a replay. A query past its deadline is cancelled on the server, and its
 *   connection is not reused until the server has confirmed its end.
 * - **Outcomes**: an error says whether the statement took effect: `not-applied` (nothing reached the
 *   server, or the server said so), `unknown` (it was sent and no reply arrived) or `applied`. Never a guess.
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
   *   before COMMIT, NestedAcquireError inside another transaction of this database.
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
   * order. A failed statement does not stop the others.
   * @throws BatchFailedError with the result of each, if at least one failed.
   */
  batch(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>;
  /** Leases a connection; the caller must release it, or dispose of it with `await using`. */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** The state of the hosts as already known: nothing is sent. */
  health(): DatabaseHealth;
  getStats(): DatabaseStats;
  /**
   * Rejects new calls, waits for those under way for at most `deadlineMs` (default 10 000), then closes the
   * connections; calls still under way reject with DatabaseClosedError. Later calls return the same promise.
   */
  end(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs statements. */
export interface Queryable {
  /**
   * @param values one for each `$1`, `$2`, ...; `undefined` is rejected, `null` is SQL's.
   * @throws QueryFailedError with the server's SQLSTATE, QueryTimeoutError, AcquireTimeoutError,
   *   PoolOverloadedError, ConnectionLostError, ConnectRefusedError, NoWritableHostError,
   *   DatabaseClosedError, InvalidOptionError, or the signal's own reason.
   */
  query<Row extends QueryResultRow = QueryResultRow>(
    statement: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>;
}

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

export interface QueryResult<Row extends QueryResultRow = QueryResultRow> {
  readonly rows: Row[];
  /** Rows returned or affected; `null` for a command that has no such number. */
  readonly rowCount: number | null;
  /** The command's tag, such as `SELECT` or `INSERT`. */
  readonly command: string;
  readonly fields: FieldDef[];
}

export interface CallOptions {
  /** Rejects the call with the signal's reason; a query under way is cancelled on the server. */
  signal?: AbortSignal | undefined;
  /** How long the whole call may take, in milliseconds. Default `queryTimeoutMs`. */
  timeoutMs?: number | undefined;
}

export interface QueryOptions extends CallOptions {
  /** The statement may safely run twice: it is sent once more if its connection is lost. Default false. */
  idempotent?: boolean | undefined;
}

export interface AcquireOptions {
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

/** Runs the statements of a transaction; rejects with TransactionEndedError once it has ended. */
export interface Transaction extends Queryable {
  /** The number of this run of the callback, from 1. */
  readonly attempt: number;
  /** Aborted when the transaction's connection is lost, its deadline passed, or its caller gave up. */
  readonly signal: AbortSignal;
  /** Runs `work` under a savepoint: if it throws, only its own changes are rolled back. */
  transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T>;
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface TransactionOptions extends CallOptions {
  /** Default: the server's own. */
  isolation?: Isolation | undefined;
  readOnly?: boolean | undefined;
  /** Further runs after a serialization failure or a deadlock. Default 5. */
  maxRetries?: number | undefined;
  /** Also run again when the connection was lost before COMMIT was sent. Default false. */
  rerunOnLoss?: boolean | undefined;
  /**
   * Writes a marker row in the transaction, by which the outcome of a COMMIT whose reply was lost is found,
   * instead of reported as unknown; needs the table of `markerTableSql`. Default false.
   */
  resolveCommit?: boolean | undefined;
}

export interface TransactionResult<T> {
  readonly value: T;
  /** The commit's position in the log, for `read({ after: token })`. */
  readonly token: Token;
}

/** A position in the write-ahead log. Plain data: it may travel in a cookie or a header. */
export interface Token {
  /** The timeline that the position belongs to; a promotion begins a new one. */
  readonly timeline: number;
  /** In the format of Postgres, such as `16/B374D848`. */
  readonly lsn: string;
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

export interface DatabaseHealth {
  /**
   * `healthy`: all hosts are available; `degraded`: writes are accepted, but a host is not available;
   * `critical`: no host accepts writes.
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
