import type { QueryResultRow } from 'pg';
import type { CallDeps } from '../calls/call-deps.ts';
import type { CallGuard } from '../calls/call-guard.ts';
import { parseStatement } from '../calls/statement.ts';
import type { Lease, QueryOptions, QueryResult, Statement } from '../database.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { LeasedConnection } from './leased-connection.ts';

/** A connection leased until it is released. */
export class ConnectionLease implements Lease {
  readonly #connection: LeasedConnection;
  readonly #guard: CallGuard;
  readonly #stopWatching: () => void;

  constructor(pooled: PooledConnection, { options, guard, leaks }: CallDeps) {
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
    return this.#guard.withErrors(this.#connection.query<Row>(statement, options, Infinity));
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
