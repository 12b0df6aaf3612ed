import type { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Emitter,
  type DeadlineQueue,
  InvalidOptionError,
  type CallDeadline,
  type Subscribe,
} from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { runBatch } from './calls/batch.ts';
import type { CallCounts } from './calls/call-counts.ts';
import { limitOf } from './calls/call-deadline.ts';
import { readConsistency } from './reads/consistency.ts';
import type { LeakWatch } from './leases/leak-detector.ts';
import { LinkLease } from './leases/connection-lease.ts';
import type { Queries } from './calls/queries.ts';
import { ReadSession } from './reads/read-session.ts';
import type { Reads } from './reads/reads.ts';
import type { Route } from './hosts/host-router.ts';
import { checkWork, readStatement } from './calls/statement.ts';
import type { Transactions } from './transactions/transactions.ts';
import type {
  AcquireOptions,
  CallOptions,
  Consistency,
  Database,
  DatabaseHealth,
  DatabaseStats,
  Lease,
  QueryOptions,
  QueryResult,
  Reader,
  Session,
  Statement,
  TransactionResult,
  Transaction,
  TransactionOptions,
} from './database.ts';
import { ConnectionLostError, DatabaseClosedError, NestedAcquireError } from './errors.ts';
import type { DatabaseEvents } from './events.ts';
import type { Cluster } from './hosts/cluster.ts';
import type { Host } from './hosts/host.ts';
import { MAX_TIMEOUT_MS, type Settings } from './options.ts';
import { databaseClosed } from './pool/pool-errors.ts';

export interface PooledDatabaseOptions {
  readonly settings: Settings;
  readonly events: Emitter<DatabaseEvents>;
  readonly hosts: readonly Host[];
  readonly cluster: Cluster | undefined;
  readonly route: Route;
  readonly counts: CallCounts;
  readonly queries: Queries;
  readonly leaks: LeakWatch;
  readonly reads: Reads;
  readonly transactions: Transactions;
  /** Of `queryTimeoutMs` each, shared by the calls that have no limit of their own. */
  readonly deadlines: DeadlineQueue;
  /** The transaction on whose behalf the present code runs. */
  readonly current: AsyncLocalStorage<{ open: boolean }>;
}

const END_DEADLINE_MS = 10_000;

/** The database's front: checks what it is given, and hands it to those who know how. */
export class PooledDatabase implements Database {
  readonly on: Subscribe<DatabaseEvents>;
  readonly #options: PooledDatabaseOptions;
  #ending: Promise<void> | undefined;

  constructor(options: PooledDatabaseOptions) {
    this.#options = options;
    this.on = options.events.on;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = readStatement('query', given, values);
    const limit = this.#limit('query', options);
    try {
      return await this.#options.queries.run<Row>(statement, limit, options?.idempotent === true);
    } catch (error) {
      throw this.#toldOf(error);
    } finally {
      limit.release();
    }
  }

  async batch(given: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]> {
    if (!Array.isArray(given) || given.length === 0) {
      throw new InvalidOptionError('batch', 'statements', given, 'an array of at least one');
    }
    const statements = given.map((each: unknown) => readStatement('batch', each, undefined));
    const limit = this.#limit('batch', options);
    try {
      const { route } = this.#options;
      return await runBatch(statements, limit, options?.idempotent === true, route);
    } catch (error) {
      throw this.#toldOf(error);
    } finally {
      limit.release();
    }
  }

  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>> {
    this.#enter('transaction');
    return this.#told(this.#options.transactions.run(work, options));
  }

  async read<T>(
    consistency: Consistency,
    work: (reader: Reader) => Promise<T> | T,
    options?: CallOptions,
  ): Promise<T> {
    checkWork('read', work);
    const freshness = readConsistency('read', consistency);
    this.#enter('read');
    return this.#told(this.#options.reads.run(freshness, work, options));
  }

  session(): Session {
    const { queries, reads, transactions, settings } = this.#options;
    const { clock, queryTimeoutMs } = settings;
    const enter = (asked: string): void => this.#enter(asked);
    const told = (error: unknown): unknown => this.#toldOf(error);
    return new ReadSession({ queries, reads, transactions, clock, queryTimeoutMs, enter, told });
  }

  async acquire(options?: AcquireOptions): Promise<Lease> {
    const { settings, route, leaks } = this.#options;
    const { clock, acquireTimeoutMs, queryTimeoutMs } = settings;
    this.#enter('acquire');
    const limit = limitOf('acquire', options, { clock, fallbackMs: acquireTimeoutMs });
    try {
      const slot = await route.writable(limit, limit.timeoutMs);
      const told = (error: unknown): unknown => this.#toldOf(error);
      return new LinkLease(slot, clock, queryTimeoutMs, leaks.lent(slot), told);
    } finally {
      limit.release();
    }
  }

  health(): DatabaseHealth {
    const { cluster, hosts } = this.#options;
    return cluster === undefined ? loneHealth(hosts) : cluster.health();
  }

  getStats(): DatabaseStats {
    const { hosts, counts } = this.#options;
    return { hosts: hosts.map(({ pool }) => pool.getStats()), ...counts };
  }

  async end(options: { deadlineMs?: number } = {}): Promise<void> {
    const { deadlineMs = END_DEADLINE_MS } = options;
    if (!Number.isFinite(deadlineMs) || deadlineMs < 0 || deadlineMs > MAX_TIMEOUT_MS) {
      const permitted = `a number from 0 to ${MAX_TIMEOUT_MS}`;
      throw new InvalidOptionError('end', 'deadlineMs', deadlineMs, permitted);
    }
    this.#ending ??= this.#end(deadlineMs);
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #end(deadlineMs: number): Promise<void> {
    const { hosts, cluster, settings } = this.#options;
    const closed = Promise.all(hosts.map(({ pool }) => pool.close()));
    const cut = (): void => {
      cluster?.end();
      for (const { pool } of hosts) pool.cut();
    };
    const timer = settings.clock.schedule(deadlineMs, cut);
    await closed;
    timer.cancel();
    cluster?.end();
  }

  /** @throws DatabaseClosedError, NestedAcquireError */
  #enter(asked: string): void {
    if (this.#ending !== undefined) throw databaseClosed();
    if (this.#options.current.getStore()?.open === true) throw new NestedAcquireError(asked);
  }

  /** @throws as {@link PooledDatabase.#enter}, InvalidOptionError */
  #limit(asked: string, options: CallOptions | undefined): CallDeadline {
    const { clock, queryTimeoutMs } = this.#options.settings;
    this.#enter(asked);
    const { deadlines } = this.#options;
    return limitOf(asked, options, { clock, fallbackMs: queryTimeoutMs, deadlines });
  }

  async #told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#toldOf(error);
    }
  }

  /** What was cut off by `end` is not the network's doing. */
  #toldOf(error: unknown): unknown {
    if (this.#ending === undefined || !(error instanceof ConnectionLostError)) return error;
    const { phase, outcome, host } = error;
    return new DatabaseClosedError('the database was ended while the call was under way', {
      cause: error,
      phase,
      outcome,
      retryable: false,
      host,
    });
  }
}

function loneHealth(hosts: readonly Host[]): DatabaseHealth {
  const seen = hosts.map((host) => {
    const { total, connecting, connectError } = host.pool.snapshot();
    const stands = total > connecting;
    const role = stands ? 'primary' : connectError === undefined ? 'unknown' : 'offline';
    return { ...host.health(undefined), role } as const;
  });
  const primary = seen.find(({ role }) => role === 'primary')?.host;
  const isAway = seen.some(({ role }) => role === 'offline');
  return { level: isAway ? 'critical' : 'healthy', primary, hosts: seen };
}
