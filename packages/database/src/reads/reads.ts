import { type CallDeadline, sleep } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { CALL_OPTIONS, startDeadline } from '../calls/call-deadline.ts';
import type { CallDeps } from '../calls/call-deps.ts';
import type { FreshRead, FreshResult } from '../calls/fresh-exchange.ts';
import { type StatementConnections, MAX_CONNECTIONS } from '../calls/queries.ts';
import { parseStatement } from '../calls/statement.ts';
import { isConflict } from '../connection/sql-state.ts';
import type { CallOptions, QueryOptions, QueryResult, Reader, Statement } from '../database.ts';
import type { Token } from '../connection/token.ts';
import {
  AcquireTimeoutError,
  CallbackFailedError,
  ConnectRefusedError,
  ConnectionLostError,
  NOT_SENT,
  QueryFailedError,
  TransactionEndedError,
} from '../errors.ts';
import { type ReadHost, type ReadHostSelector, onPrimary } from '../hosts/host-router.ts';
import { laterOf } from '../lsn.ts';
import { StaleLink } from '../pool/link-state.ts';
import { OwnDeadline } from '../pool/own-deadline.ts';
import { HostDrained, noFreshServer } from '../pool/pool-errors.ts';
import type { Freshness } from '../consistency.ts';

/** The host that a read ran on, and a position of its log that the read includes. */
export interface ReadTrace {
  key?: string;
  role?: Reader['role'];
  token?: Token;
}

/** Runs reads, and once more on another host if the first one is lost. */
export class Reads {
  readonly #deps: CallDeps;
  readonly #hosts: ReadHostSelector;

  constructor(deps: CallDeps, hosts: ReadHostSelector) {
    this.#deps = deps;
    this.#hosts = hosts;
  }

  /** @param trace is filled in; if given, reads also read the log's position. */
  async run<T>(
    freshness: Freshness,
    work: (reader: Reader) => Promise<T> | T,
    call: CallOptions | undefined,
    trace?: ReadTrace,
  ): Promise<T> {
    const { counts, deadlines } = this.#deps;
    const { clock, queryTimeoutMs } = this.#deps.options;
    const defaults = { clock, fallbackMs: queryTimeoutMs, deadlines };
    const deadline = startDeadline('read', call, defaults, CALL_OPTIONS);
    const shared: SharedDeadline = { deadline, inUse: false, isSettled: false };
    let wanted = freshness;
    try {
      for (let attempt = 1; ; attempt += 1) {
        const host = await this.#hosts.selectHost(wanted, deadline, trace?.key);
        if (host.role === 'standby') counts.replicaReads += 1;
        else if (freshness.kind !== 'strong') counts.primaryFallbacks += 1;
        const reader = new HostReader(host, this.#deps, shared, call?.signal, trace);
        try {
          const value = await work(reader);
          host.served();
          if (trace !== undefined) Object.assign(trace, { key: host.key, role: host.role });
          return value;
        } catch (error) {
          const isLast = attempt > 1 || (reader.isStale && host.waitMs === Infinity);
          if (!reader.failed || isLast || deadline.cancellation !== undefined) throw error;
          // A host that is only behind goes on serving other reads.
          if (reader.isStale && freshness.kind !== 'any') {
            // A primary that came back from before the failover is no more current than its standbys.
            wanted = onPrimary(freshness);
          } else if (!(error instanceof CallbackFailedError)) host.failed();
          counts.replays += 1;
        } finally {
          reader.end();
        }
      }
    } finally {
      shared.isSettled = true;
      if (!shared.inUse) deadline.release();
    }
  }
}

/**
 * The deadline of a read. One statement at a time uses it, because a timer for each would cost more than checking
 * a replica; a second statement at the same time has its own deadline. The last user releases it.
 */
interface SharedDeadline {
  readonly deadline: CallDeadline;
  inUse: boolean;
  isSettled: boolean;
}

class HostReader implements Reader {
  readonly host: string;
  readonly role: Reader['role'];
  /** A statement failed because of the host. */
  failed = false;
  /** No connection to the host led to a server that is fresh enough. */
  isStale = false;
  readonly #host: ReadHost;
  readonly #deps: CallDeps;
  readonly #shared: SharedDeadline;
  readonly #signal: AbortSignal | undefined;
  readonly #trace: ReadTrace | undefined;
  #ended = false;

  constructor(
    host: ReadHost,
    deps: CallDeps,
    shared: SharedDeadline,
    signal: AbortSignal | undefined,
    trace: ReadTrace | undefined,
  ) {
    this.host = host.name;
    this.role = host.role;
    this.#host = host;
    this.#deps = deps;
    this.#shared = shared;
    this.#signal = signal;
    this.#trace = trace;
  }

  end(): void {
    this.#ended = true;
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    given: string | Statement,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>> {
    const statement = parseStatement('reader.query', given, values);
    if (this.#ended) throw new TransactionEndedError('reader');
    const deadline = this.#deadlineFor(options);
    const shared = this.#shared;
    const usesShared = deadline === shared.deadline;
    if (usesShared) shared.inUse = true;
    try {
      return await this.#run<Row>(statement, deadline);
    } catch (error) {
      this.failed ||= this.isStale || isHostFailure(error);
      throw error instanceof HostDrained ? connectionLost(error) : error;
    } finally {
      if (usesShared) shared.inUse = false;
      if (!usesShared || shared.isSettled) deadline.release();
    }
  }

  #deadlineFor(options: QueryOptions | undefined): CallDeadline {
    const { clock, queryTimeoutMs } = this.#deps.options;
    const { deadline, inUse } = this.#shared;
    if (options === undefined && !inUse && deadline.timeoutMs <= queryTimeoutMs) return deadline;
    const atMostMs = Math.max(1, deadline.remainingMs());
    const isOwn = deadline instanceof OwnDeadline;
    const defaults = { clock, fallbackMs: queryTimeoutMs, atMostMs, isOwn, signal: this.#signal };
    return startDeadline('reader.query', options, defaults);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    const { queries } = this.#deps;
    const { requirement } = this.#host;
    const trace = this.#trace;
    if (trace === undefined && requirement.kind === 'none') {
      return queries.run<Row>(statement, deadline, true, this.#source());
    }
    const read = {
      statement,
      requirement,
      traced: trace !== undefined,
      closesStale: false,
      mayWrite: false,
    };
    const { result, token } = await this.#runFresh<Row>(read, deadline);
    if (trace !== undefined && token !== undefined) trace.token = laterOf(trace.token, token);
    return result;
  }

  #source(): StatementConnections {
    const { acquire, role } = this.#host;
    return { acquire, readOnly: role === 'standby' };
  }

  /** Waits for the servers behind the host's name to catch up, as long as the host permits. */
  async #runFresh<Row extends QueryResultRow>(
    read: FreshRead,
    deadline: CallDeadline,
  ): Promise<FreshResult<Row>> {
    const { queries } = this.#deps;
    const { clock, replicaWaitMs } = this.#deps.options;
    const { waitMs } = this.#host;
    const beganMs = clock.now();
    const endsAtMs = Math.min(beganMs + waitMs, deadline.endsAtMs);
    const isPrimary = read.requirement.kind === 'primary';
    let stale: StaleLink | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const isLate = isPrimary || clock.now() - beganMs > replicaWaitMs;
        const closesStale = isLate && attempt <= MAX_CONNECTIONS;
        return await queries.runFresh<Row>({ ...read, closesStale }, deadline, this.#source());
      } catch (error) {
        // The time was over while a further connection was asked.
        if (!(error instanceof StaleLink)) {
          throw stale === undefined || clock.now() < endsAtMs ? error : noFreshServer(stale);
        }
        stale = error;
        const isHopeless = clock.now() >= endsAtMs || (isPrimary && attempt >= MAX_CONNECTIONS);
        if (isHopeless || deadline.cancellation !== undefined) {
          this.isStale = true;
          throw noFreshServer(error);
        }
        const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
        await sleep(clock, Math.min(delayMs, endsAtMs - clock.now()), this.#signal);
      }
    }
  }
}

/** Whether the read may succeed on another host. A standby reports 40001 when replay cancels a read. */
function isHostFailure(error: unknown): boolean {
  return (
    error instanceof HostDrained ||
    error instanceof ConnectionLostError ||
    error instanceof AcquireTimeoutError ||
    error instanceof ConnectRefusedError ||
    error instanceof CallbackFailedError ||
    (error instanceof QueryFailedError && isConflict(error.sqlState))
  );
}

/** The pause before a connection that is not fresh enough is tried again. */
const FIRST_DELAY_MS = 2;
const LONGEST_DELAY_MS = 50;

function connectionLost({ host }: HostDrained): ConnectionLostError {
  const message = `${host} takes no reads any more; nothing was sent`;
  return new ConnectionLostError(message, { ...NOT_SENT, retryable: true, host });
}
