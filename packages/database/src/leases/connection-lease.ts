import type { QueryResultRow } from 'pg';
import type { CallDeps } from '../calls/call-deps.ts';
import type { CallGuard } from '../calls/call-guard.ts';
import { parseStatement } from '../calls/statement.ts';
import type { Lease, QueryOptions, QueryResult, Statement } from '../database.ts';
import { READ_ONLY } from '../connection/sql-state.ts';
import { QueryFailedError } from '../errors.ts';
import type { HostRouter } from '../hosts/host-router.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { LeasedConnection } from './leased-connection.ts';

/** A connection leased until it is released. */
export class ConnectionLease implements Lease {
  readonly #connection: LeasedConnection;
  readonly #guard: CallGuard;
  readonly #router: HostRouter;
  readonly #stopWatching: () => void;

  constructor(pooled: PooledConnection, { options, guard, leaks, router }: CallDeps) {
    this.#router = router;
    const { clock, queryTimeoutMs } = options;
    this.#connection = new LeasedConnection({ pooled, clock, queryTimeoutMs, handle: 'lease' });
    this.#guard = guard;
    this.#stopWatching = leaks.watch(pooled);
  }

  get host(): string {
    return this.#connection.pooled.host;
  }

  get backendPid(): number {
    return this.#connection.pooled.connection.backendPid;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = parseStatement('lease.query', given, values);
    try {
      return await this.#connection.query<Row>(statement, options, Infinity);
    } catch (error) {
      if (error instanceof QueryFailedError && error.sqlState === READ_ONLY) {
        this.#router.reportReadOnly(this.#connection.pooled, 'write');
      }
      throw this.#guard.translateError(error);
    }
  }

  release(broken = false): void {
    if (this.#connection.ended) return;
    this.#connection.end();
    this.#stopWatching();
    this.#connection.pooled.release(broken);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}
