import { type CallDeadline, InvalidOptionError, type Subscribe } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { runBatch } from './calls/batch.ts';
import { startDeadline } from './calls/call-deadline.ts';
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

const END_DEADLINE_MS = 10_000;

/** Validates the arguments of calls and passes them on. */
export class PooledDatabase implements Database {
  readonly on: Subscribe<DatabaseEvents>;
  readonly #deps: CallDeps;
  readonly #hosts: readonly Host[];
  readonly #reads: Reads;
  readonly #transactions: Transactions;
  #ending: Promise<void> | undefined;

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
    const statements = given.map((each: unknown) => parseStatement('batch', each, undefined));
    const { router, guard } = this.#deps;
    const deadline = this.#startCall('batch', options);
    try {
      return await runBatch(statements, deadline, options?.idempotent === true, router);
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

  session(): Session {
    return new ReadSession(this.#deps, this.#reads, this.#transactions);
  }

  async acquire(options?: AcquireOptions): Promise<Lease> {
    const { guard, router } = this.#deps;
    const { clock, acquireTimeoutMs } = this.#deps.options;
    guard.assertOpen('acquire');
    const deadline = startDeadline('acquire', options, { clock, fallbackMs: acquireTimeoutMs });
    try {
      const pooled = await router.acquirePrimary(deadline, deadline.timeoutMs);
      return new ConnectionLease(pooled, this.#deps);
    } finally {
      deadline.release();
    }
  }

  health(): DatabaseHealth {
    return this.#deps.router.health();
  }

  getStats(): DatabaseStats {
    return { hosts: this.#hosts.map(({ pool }) => pool.getStats()), ...this.#deps.counts };
  }

  async end(options: { deadlineMs?: number } = {}): Promise<void> {
    const { deadlineMs = END_DEADLINE_MS } = options;
    if (!Number.isFinite(deadlineMs) || deadlineMs < 0 || deadlineMs > MAX_TIMEOUT_MS) {
      const permitted = `a number from 0 to ${MAX_TIMEOUT_MS}`;
      throw new InvalidOptionError('end', 'deadlineMs', deadlineMs, permitted);
    }
    this.#deps.guard.close();
    this.#ending ??= this.#end(deadlineMs);
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #end(deadlineMs: number): Promise<void> {
    const { router, options } = this.#deps;
    const closed = Promise.all(this.#hosts.map(({ pool }) => pool.close()));
    const destroyAll = (): void => {
      router.end();
      for (const { pool } of this.#hosts) pool.destroyAll();
    };
    const timer = options.clock.schedule(deadlineMs, destroyAll);
    await closed;
    timer.cancel();
    router.end();
  }

  /** @throws DatabaseClosedError, NestedAcquireError, InvalidOptionError */
  #startCall(call: string, options: CallOptions | undefined): CallDeadline {
    const { guard, deadlines } = this.#deps;
    const { clock, queryTimeoutMs } = this.#deps.options;
    guard.assertOpen(call);
    return startDeadline(call, options, { clock, fallbackMs: queryTimeoutMs, deadlines });
  }
}
