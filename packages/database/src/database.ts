import type { DurationCounts } from '@holdfast/foundation/metrics';
import type { Subscribe } from '@holdfast/foundation';
import type { CustomTypesConfig, FieldDef, QueryResultRow } from 'pg';
import type { PoolSnapshot } from './errors.ts';
import type { DatabaseEvents, HostRole } from './events.ts';

/**
 * A Postgres database behind one or more hosts.
 *
 * What it promises:
 * - **Deadlines**: every call settles by its deadline (`timeoutMs`, else the option that names it), whatever
 *   the server, the network or the pool does. The deadline covers the whole call: waiting for a link,
 *   connecting, the query and a replay. A query given up is cancelled on the server, and its link is lent to
 *   nobody until the server has confirmed the end of it.
 * - **Outcomes**: an error says whether the statement took effect: `not-applied` (nothing reached the
 *   server, or the server said so), `unknown` (it was sent and no answer came) or `applied`. Never a guess.
 * - **Replay**: after a lost link, `read` and calls marked `idempotent` are sent once more on another link; links
 *   that stood when the first was lost, and are lost as well, do not count. Anything else is sent at most once;
 *   only what never reached a socket is sent again.
 * - **Links**: none is lent while a transaction is open on it or a reply unread. A link that dies, idle or
 *   lent, never ends the process.
 * - **Fairness**: waiters are served in the order they came, held while the server is away, and refused at
 *   once beyond `maxWaiting`.
 */
export interface Database extends Queryable {
  /** Listens to what happens; the same events are published on `holdfast:database:<kind>`. */
  readonly on: Subscribe<DatabaseEvents>;
  /**
   * Runs `work` in a transaction, commits, and says where in the log the commit stands. Re-run on 40001 and
   * 40P01, up to `maxRetries`; so `work` must have no effect outside of `tx`. When it throws, the transaction
   * is rolled back and the error is passed on as it is.
   * @throws CommitUnknownError when the link was lost between COMMIT and its answer, CommitRolledBackError
   *   when the server answered it with ROLLBACK, ConnectionLostError (outcome `not-applied`) when it was lost
   *   before COMMIT, NestedAcquireError inside another transaction of this database.
   */
  transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>>;
  /**
   * Runs reads on a host that is fresh enough, else on the primary; elsewhere once more when that host is lost.
   * `work` must only read, and have no effect outside: its statements may be sent twice. Each takes a link of
   * its own, so together they are not one snapshot.
   */
  read<T>(
    consistency: Consistency,
    work: (reader: Reader) => Promise<T> | T,
    options?: CallOptions,
  ): Promise<T>;
  /** A thread of calls that sees its own writes, and never sees time go backwards. */
  session(): Session;
  /**
   * Sends the statements in one go on one link, each in a transaction of its own, and gives their results in
   * order. One that fails does not keep the others from running.
   * @throws BatchFailedError with the result of each, when at least one failed.
   */
  batch(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>;
  /** Lends a link; whoever has it must release it, or dispose of it with `await using`. */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** How the hosts stand, from what is known already: nothing is sent. */
  health(): DatabaseHealth;
  getStats(): DatabaseStats;
  /**
   * Refuses new calls, waits for those under way for at most `deadlineMs` (default 10 000), then cuts the
   * links; what was cut off rejects with DatabaseClosedError. Calling it again returns the same promise.
   */
  end(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What statements can be sent to. */
export interface Queryable {
  /**
   * @param values one for each `$1`, `$2`, ...; `undefined` is refused, `null` is SQL's.
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
  /** Prepared under this name, once on each link. */
  readonly name?: string | undefined;
  /** Rows as arrays instead of objects. */
  readonly rowMode?: 'array' | undefined;
  /** What makes values of what the server sends, by type, as pg takes it. Default: pg's own. */
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
  /** Ends the call with the signal's own reason; a query under way is cancelled on the server. */
  signal?: AbortSignal | undefined;
  /** How long the whole call may take, in milliseconds. Default `queryTimeoutMs`. */
  timeoutMs?: number | undefined;
}

export interface QueryOptions extends CallOptions {
  /** Sending it twice does no harm: it is sent once more when its link is lost. Default false. */
  idempotent?: boolean | undefined;
}

export interface AcquireOptions {
  signal?: AbortSignal | undefined;
  /** How long it may take to get a link, in milliseconds. Default `acquireTimeoutMs`. */
  timeoutMs?: number | undefined;
}

/** A link on loan. */
export interface Lease extends Queryable, AsyncDisposable {
  /** `host:port` it leads to. */
  readonly host: string;
  /** The server's process behind it. */
  readonly backendPid: number;
  /**
   * Gives the link back; a second call does nothing. An open transaction is rolled back first.
   * @param broken cuts the link instead of keeping it.
   */
  release(broken?: boolean): void;
}

/** Where statements of a transaction go. Refused with TransactionEndedError once it has ended. */
export interface Transaction extends Queryable {
  /** Which run of the callback this is, from 1. */
  readonly attempt: number;
  /** Aborted when the transaction's link is lost, its deadline passed, or its caller gave up. */
  readonly signal: AbortSignal;
  /** Runs `work` under a savepoint: when it throws, what it did is undone and the rest stands. */
  transaction<T>(work: (tx: Transaction) => Promise<T> | T): Promise<T>;
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface TransactionOptions extends CallOptions {
  /** Default: the server's own. */
  isolation?: Isolation | undefined;
  readOnly?: boolean | undefined;
  /** Further runs after a serialization failure or a deadlock. Default 5. */
  maxRetries?: number | undefined;
  /** Also run again when the link was lost before COMMIT was sent. Default false. */
  rerunOnLoss?: boolean | undefined;
  /**
   * Writes a marker row with the transaction, so that a COMMIT whose answer was lost is looked up instead of
   * reported as unknown; needs the table of `markerTableSql`. Default false.
   */
  resolveCommit?: boolean | undefined;
}

export interface TransactionResult<T> {
  readonly value: T;
  /** Where the commit stands; give it to `read({ after: token })`. */
  readonly token: Token;
}

/** A place in the write-ahead log. Plain data: it may travel in a cookie or a header. */
export interface Token {
  /** Which history it belongs to; a promotion begins a new one. */
  readonly timeline: number;
  /** As Postgres writes it, such as `16/B374D848`. */
  readonly lsn: string;
}

/**
 * How fresh a read must be: `any` host; one that has replayed a token; one that is at most so many
 * milliseconds behind; `strong` is the primary.
 */
export type Consistency =
  | 'strong'
  | 'any'
  | { readonly after: Token | undefined }
  | { readonly maxLagMs: number };

/** Where the statements of a read go. */
export interface Reader extends Queryable {
  /** `host:port` it leads to. */
  readonly host: string;
  readonly role: 'primary' | 'standby';
}

/** Reads after its own writes: the token travels inside. Reads stay on one replica while that one is well. */
export interface Session extends Queryable {
  /** The latest place this session has written or seen. */
  readonly token: Token | undefined;
  /** Takes over what another session has seen, such as one of another process. */
  observe(token: Token): void;
  /** As the database's, and the session remembers the token. `query` does too, at the primary. */
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
  /** Why it is offline or fenced, or why the last connection failed. */
  readonly reason?: string;
  readonly timeline?: number;
  /** How far a standby was behind when last asked. */
  readonly lagMs?: number;
  /** Round trip, smoothed. */
  readonly latencyMs?: number;
  readonly pool: PoolSnapshot;
}

export interface DatabaseHealth {
  /**
   * `healthy`: writes and all hosts stand; `degraded`: writes stand, something else does not;
   * `critical`: no host takes writes.
   */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly primary: string | undefined;
  readonly hosts: readonly HostHealth[];
}

/** Counted since the start, for one host. */
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
