import {
  type CallDeadline,
  InvalidOptionError,
  type Subscribe,
  type Timer,
  number,
  parseOptions,
} from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { runBatch } from './calls/batch.ts';
import { CALL_OPTIONS, refuseOptions, startDeadline } from './calls/call-deadline.ts';
import type { CallDeps } from './calls/call-deps.ts';
import { checkWork, parseStatement } from './calls/statement.ts';
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
  Transaction,
  TransactionOptions,
  TransactionResult,
} from './database.ts';
import type { DatabaseEvents } from './events.ts';
import type { ReadHostSelector } from './hosts/host-router.ts';
import type { Host } from './hosts/host.ts';
import { ConnectionLease } from './leases/connection-lease.ts';
import { MAX_TIMEOUT_MS } from './options.ts';
import { parseConsistency } from './consistency.ts';
import { ReadSession } from './reads/read-session.ts';
import { Reads } from './reads/reads.ts';
import { Transactions } from './transactions/transactions.ts';

const closeShape = { deadlineMs: number({ min: 0, max: MAX_TIMEOUT_MS, default: 10_000 }) };

/** Validates the arguments of calls and passes them on. */
export class PooledDatabase implements Database {
  readonly on: Subscribe<DatabaseEvents>;
  readonly #deps: CallDeps;
  readonly #hosts: readonly Host[];
  readonly #reads: Reads;
  readonly #transactions: Transactions;
  #closing: Promise<void> | undefined;
  #destruction: { readonly atMs: number; readonly timer: Timer } | undefined;
  #isClosed = false;

  constructor(deps: CallDeps, hosts: readonly Host[], readHosts: ReadHostSelector) {
    this.#deps = deps;
    this.#hosts = hosts;
    this.#reads = new Reads(deps, readHosts);
    this.#transactions = new Transactions(deps);
    this.on = deps.events.on;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = parseStatement('query', given, values);
    const { queries, guard } = this.#deps;
    const deadline = this.#startCall('query', options);
    try {
      return await queries.run<Row>(statement, deadline, options?.idempotent === true);
    } catch (error) {
      throw guard.translateError(error);
    } finally {
      deadline.release();
    }
  }

  async batch(given: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]> {
    if (!Array.isArray(given) || given.length === 0) {
      throw new InvalidOptionError('batch', 'statements', given, 'an array of at least one');
    }
    const statements = given.map((each: unknown, at) =>
      parseStatement(`batch of statements[${at}]`, each, undefined),
    );
    const { guard } = this.#deps;
    const deadline = this.#startCall('batch', options);
    try {
      return await runBatch(statements, deadline, options?.idempotent === true, this.#deps);
    } catch (error) {
      throw guard.translateError(error);
    } finally {
      deadline.release();
    }
  }

  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options?: TransactionOptions,
  ): Promise<TransactionResult<T>> {
    const { guard } = this.#deps;
    guard.assertOpen('transaction');
    return guard.withErrors(this.#transactions.run(work, options));
  }

  async read<T>(
    consistency: Consistency,
    work: (reader: Reader) => Promise<T> | T,
    options?: CallOptions,
  ): Promise<T> {
    checkWork('read', work);
    const freshness = parseConsistency('read', consistency);
    const { guard } = this.#deps;
    guard.assertOpen('read');
    return guard.withErrors(this.#reads.run(freshness, work, options));
  }

  session(...given: readonly unknown[]): Session {
    refuseOptions('session', given, 'observe(token) continues from a token');
    return new ReadSession(this.#deps, this.#reads, this.#transactions);
  }

  async acquire(options?: AcquireOptions): Promise<Lease> {
    const { guard, router } = this.#deps;
    const { clock, acquireTimeoutMs } = this.#deps.options;
    guard.assertOpen('acquire');
    const defaults = { clock, fallbackMs: acquireTimeoutMs };
    const deadline = startDeadline('acquire', options, defaults, CALL_OPTIONS);
    try {
      const pooled = await router.acquirePrimary(deadline, deadline.timeoutMs);
      return new ConnectionLease(pooled, this.#deps);
    } finally {
      deadline.release();
    }
  }

  health(): DatabaseHealth {
    if (this.#closing === undefined) return this.#deps.router.health();
    const hosts = this.#hosts.map((host) => host.closedHealth());
    return { level: 'critical', primary: undefined, hosts };
  }

  getStats(): DatabaseStats {
    return { hosts: this.#hosts.map(({ pool }) => pool.getStats()), ...this.#deps.counts };
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    // Not `async`: every call returns the same promise.
    try {
      const { deadlineMs } = parseOptions('close', closeShape, options);
      this.#deps.guard.close();
      this.#closing ??= this.#close();
      this.#destroyWithin(deadlineMs);
      return this.#closing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  end(options?: { deadlineMs?: number }): Promise<void> {
    return this.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await Promise.all(this.#hosts.map(({ pool }) => pool.close()));
    this.#isClosed = true;
    this.#destruction?.timer.cancel();
    this.#deps.router.end();
  }

  /** The earliest deadline of all calls of `close` counts. */
  #destroyWithin(deadlineMs: number): void {
    const { guard, router, options } = this.#deps;
    const atMs = options.clock.now() + deadlineMs;
    if (this.#isClosed || atMs >= (this.#destruction?.atMs ?? Infinity)) return;
    this.#destruction?.timer.cancel();
    const timer = options.clock.schedule(deadlineMs, () => {
      guard.cutOff();
      router.end();
      for (const { pool } of this.#hosts) pool.destroyAll();
    });
    this.#destruction = { atMs, timer };
  }

  /** @throws DatabaseClosedError, NestedAcquireError, InvalidOptionError */
  #startCall(call: string, options: CallOptions | undefined): CallDeadline {
    const { guard, deadlines } = this.#deps;
    const { clock, queryTimeoutMs } = this.#deps.options;
    guard.assertOpen(call);
    return startDeadline(call, options, { clock, fallbackMs: queryTimeoutMs, deadlines });
  }
}
