import type { CallDeadline, Clock } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { ConnectionFailure } from '../connection/connection.ts';
import { checkNoneOpen } from '../connection/transaction-control.ts';
import { READ_ONLY, isServerAway, sqlStateOf } from '../connection/sql-state.ts';
import type { QueryResult, Statement } from '../database.ts';
import { TokenLostError, isUnsentTimeout } from '../errors.ts';
import type { AcquireConnection, HostRouter } from '../hosts/host-router.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import { type LinkRequirement, StaleLink } from '../pool/link-state.ts';
import { noFreshServer } from '../pool/pool-errors.ts';
import { PooledConnection } from '../pool/pooled-connection.ts';
import type { CallCounts } from './call-counts.ts';
import { type FreshRead, type FreshResult, runFresh } from './fresh-exchange.ts';
import { replayFailedError, toDatabaseError } from './to-database-error.ts';

/** How often a write goes to another host because the one it reached is a standby. */
export const MAX_REDIRECTIONS = 3;

/** How many connections to one name are tried in search of a server that is fresh enough. */
export const MAX_CONNECTIONS = 16;

/** The connections that a statement may use. */
export interface StatementConnections {
  readonly acquire: AcquireConnection;
  /** They are those of a standby, so that it is the caller's fault when the server refuses to write. */
  readonly readOnly: boolean;
}

/** Runs single statements, each on its own connection. */
export class StatementRunner {
  readonly #router: HostRouter;
  readonly #counts: CallCounts;
  readonly #clock: Clock;
  readonly #primary: StatementConnections;

  constructor(router: HostRouter, counts: CallCounts, clock: Clock) {
    this.#clock = clock;
    this.#router = router;
    this.#counts = counts;
    this.#primary = { acquire: (deadline) => router.acquirePrimary(deadline), readOnly: false };
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
    source: StatementConnections = this.#primary,
  ): Promise<QueryResult<Row>> {
    return this.#runWithReplay(deadline, idempotent, source, (pooled) =>
      pooled.run<Row>(statement, deadline),
    );
  }

  /**
   * As {@link run}, and reads the log's position after everything the statement wrote or read, in the same message, so
   * that it costs no round trip. One name may lead to servers that are behind: those are left.
   */
  async runWithLsn<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
    idempotent: boolean,
    requirement: LinkRequirement,
  ): Promise<FreshResult<Row>> {
    const read = { statement, requirement, traced: true, closesStale: true, mayWrite: true };
    let stale: StaleLink | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#runWithReplay(deadline, idempotent, this.#primary, (pooled) =>
          runFresh<Row>(pooled, read, deadline),
        );
      } catch (error) {
        // More telling than that the time is over.
        if (stale !== undefined && isUnsentTimeout(error)) throw noFreshServer(stale);
        if (!(error instanceof StaleLink)) throw error;
        stale = error;
        if (attempt >= MAX_CONNECTIONS) throw noFreshServer(error);
        await holdBack(this.#clock, attempt, deadline);
        if (deadline.cancellation?.kind === 'signal') throw deadline.cancellation.reason;
        if (deadline.cancellation !== undefined) throw noFreshServer(error);
      }
    }
  }

  /** As {@link run}, on a connection whose own server meets the requirement. @throws StaleLink if it does not. */
  runFresh<Row extends QueryResultRow>(
    read: FreshRead,
    deadline: CallDeadline,
    source: StatementConnections,
  ): Promise<FreshResult<Row>> {
    return this.#runWithReplay(deadline, true, source, (pooled) =>
      runFresh<Row>(pooled, read, deadline),
    );
  }

  async #runWithReplay<T>(
    deadline: CallDeadline,
    idempotent: boolean,
    { acquire, readOnly }: StatementConnections,
    exchange: (pooled: PooledConnection) => Promise<T>,
  ): Promise<T> {
    this.#counts.queries += 1;
    let lost: FirstLoss | undefined;
    let redirections = 0;
    /** Replays beyond the first. */
    let held = 0;
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
        const value = await exchange(pooled);
        checkNoneOpen(pooled.connection, host);
        return value;
      } catch (error) {
        if (isLost(error) && (!error.sent || (idempotent && mayReplay(pooled, lost, error)))) {
          if (error.sent) {
            if (lost !== undefined) held += 1;
            lost ??= { failure: error, host, atMs: pooled.lastResponseMs };
            this.#counts.replays += 1;
          }
          pooled.release();
          if (held > 0) await holdBack(this.#clock, held, deadline);
          continue;
        }
        const mayGo = redirections < MAX_REDIRECTIONS;
        if (mayGo && this.#isMisdirected(error, pooled, readOnly)) {
          const refused = partlyCommitted(error, pooled);
          if (refused === undefined || idempotent) {
            redirections += 1;
            lost ??= refused;
            continue;
          }
        }
        if (error instanceof QueryInterrupted && error.cancellation.kind === 'deadline') {
          this.#counts.queryTimeouts += 1;
        }
        if (error instanceof ConnectionFailure && error.kind === 'unparsed') {
          checkNoneOpen(pooled.connection, host);
        }
        if (error instanceof TokenLostError && lost !== undefined) {
          throw replayFailedError(lost.failure, lost.host, error);
        }
        const { timeoutMs } = deadline;
        const context = { host, timeoutMs, inTransaction: false, readOnly };
        throw toDatabaseError(error, { ...context, mayHaveRun: lost !== undefined });
      } finally {
        pooled.release();
      }
    }
  }

  #isMisdirected(error: unknown, pooled: PooledConnection, readOnly: boolean): boolean {
    if (error instanceof StaleLink) {
      return error.requirement.kind === 'primary' && this.#router.reportReadOnly(pooled, 'read');
    }
    return (
      !readOnly &&
      error instanceof ConnectionFailure &&
      sqlStateOf(error.cause) === READ_ONLY &&
      this.#router.reportReadOnly(pooled, 'write')
    );
  }
}

/** The first sending of a statement that may have taken effect. */
interface FirstLoss {
  readonly failure: ConnectionFailure;
  readonly host: string;
  readonly atMs: number;
}

/**
 * After its first loss a statement is sent once more. Losses of connections that existed at that moment do not
 * count: a server that goes down closes them one after the other, and each can be lost only once. Nor do losses that
 * are reported: a pooler accepts connections while its server is away, and says so at the first statement.
 */
export function mayReplay(
  pooled: PooledConnection,
  first: { readonly atMs: number } | undefined,
  failure: ConnectionFailure,
): boolean {
  const isReported = isServerAway(sqlStateOf(failure.cause));
  return first === undefined || isReported || pooled.createdAtMs <= first.atMs;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/** Waits before a statement is sent to a server that is away once more. @throws nothing: the deadline ends it early. */
export function holdBack(clock: Clock, replays: number, deadline: CallDeadline): Promise<void> {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (replays - 1));
  return new Promise((resolve) => {
    const timer = clock.schedule(Math.min(pauseMs, deadline.remainingMs()), resolve);
    deadline.current = {
      cancel: () => {
        timer.cancel();
        resolve();
      },
    };
    if (deadline.cancellation !== undefined) resolve();
  });
}

/** Sent again, its statement could write twice what it has committed. */
function partlyCommitted(error: unknown, pooled: PooledConnection): FirstLoss | undefined {
  if (!(error instanceof ConnectionFailure) || !error.mayHaveCommitted) return undefined;
  return { failure: error, host: pooled.host, atMs: pooled.lastResponseMs };
}

function isLost(error: unknown): error is ConnectionFailure {
  return error instanceof ConnectionFailure && error.kind === 'lost';
}
