import type { CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { ConnectionFailure } from '../connection/connection.ts';
import { READ_ONLY, sqlStateOf } from '../connection/sql-state.ts';
import type { QueryResult, Statement, Token } from '../database.ts';
import type { AcquireConnection, HostRouter } from '../hosts/host-router.ts';
import { CURRENT_LSN, tokenFrom } from '../lsn.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import { PooledConnection } from '../pool/pooled-connection.ts';
import type { CallCounts } from './call-counts.ts';
import { replayFailedError, toDatabaseError } from './to-database-error.ts';

/** How often a write goes to another host because the one it reached is a standby. */
const MAX_REDIRECTIONS = 3;

/** Runs single statements, each on its own connection. */
export class StatementRunner {
  readonly #router: HostRouter;
  readonly #counts: CallCounts;
  readonly #acquirePrimary: AcquireConnection;

  constructor(router: HostRouter, counts: CallCounts) {
    this.#router = router;
    this.#counts = counts;
    this.#acquirePrimary = (deadline) => router.acquirePrimary(deadline);
  }

  /**
   * A statement that never reached a socket is sent again. One that may have run is sent again if it is
   * idempotent and {@link mayReplay} permits it.
   * @throws as `Queryable.query`
   */
  run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
    idempotent: boolean,
    acquire: AcquireConnection = this.#acquirePrimary,
  ): Promise<QueryResult<Row>> {
    return this.#runWithReplay(deadline, idempotent, acquire, (pooled) =>
      pooled.run<Row>(statement, deadline),
    );
  }

  /**
   * As {@link run} on a primary, and reads the log's position after everything the statement wrote or read, in
   * the same message, so that it costs no round trip.
   */
  runWithLsn<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
    idempotent: boolean,
    acquire: AcquireConnection = this.#acquirePrimary,
  ): Promise<{ readonly result: QueryResult<Row>; readonly token: Token }> {
    return this.#runWithReplay(deadline, idempotent, acquire, async (pooled) => {
      pooled.lastSql = statement.text;
      const { result, next } = await pooled.during(
        () => pooled.connection.runFollowedBy<Row>(statement, CURRENT_LSN),
        deadline,
      );
      return { result, token: tokenFrom(next?.rows[0]) };
    });
  }

  async #runWithReplay<T>(
    deadline: CallDeadline,
    idempotent: boolean,
    acquire: AcquireConnection,
    exchange: (pooled: PooledConnection) => Promise<T>,
  ): Promise<T> {
    this.#counts.queries += 1;
    let lost: FirstLoss | undefined;
    let redirections = 0;
    while (true) {
      let pooled: PooledConnection;
      try {
        const acquired = acquire(deadline);
        pooled = acquired instanceof PooledConnection ? acquired : await acquired;
      } catch (error) {
        if (lost === undefined || deadline.cancellation?.kind === 'signal') throw error;
        throw replayFailedError(lost.failure, lost.host, error);
      }
      const { host } = pooled;
      try {
        return await exchange(pooled);
      } catch (error) {
        if (isLost(error) && (!error.sent || (idempotent && mayReplay(pooled, lost)))) {
          if (error.sent) {
            lost ??= { failure: error, host, atMs: pooled.lastResponseMs };
            this.#counts.replays += 1;
          }
          continue;
        }
        if (redirections < MAX_REDIRECTIONS && this.#isMisdirected(error, host)) {
          redirections += 1;
          continue;
        }
        if (error instanceof QueryInterrupted && error.cancellation.kind === 'deadline') {
          this.#counts.queryTimeouts += 1;
        }
        const { timeoutMs } = deadline;
        const mayHaveRun = lost !== undefined;
        throw toDatabaseError(error, { host, timeoutMs, inTransaction: false, mayHaveRun });
      } finally {
        pooled.release();
      }
    }
  }

  #isMisdirected(error: unknown, host: string): boolean {
    return (
      error instanceof ConnectionFailure &&
      sqlStateOf(error.cause) === READ_ONLY &&
      this.#router.reportReadOnly(host)
    );
  }
}

/** The first loss of a statement. */
interface FirstLoss {
  readonly failure: ConnectionFailure;
  readonly host: string;
  readonly atMs: number;
}

/**
 * After its first loss a statement is sent once more. Losses of connections that existed at that moment do not
 * count: a server that goes down closes them one after the other, and each can be lost only once.
 */
export function mayReplay(
  pooled: PooledConnection,
  first: { readonly atMs: number } | undefined,
): boolean {
  return first === undefined || pooled.createdAtMs <= first.atMs;
}

function isLost(error: unknown): error is ConnectionFailure {
  return error instanceof ConnectionFailure && error.kind === 'lost';
}
