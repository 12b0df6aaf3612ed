import type { CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import { startDeadline } from '../calls/call-deadline.ts';
import type { CallDeps } from '../calls/call-deps.ts';
import { parseStatement } from '../calls/statement.ts';
import { isConflict } from '../connection/sql-state.ts';
import type {
  CallOptions,
  QueryOptions,
  QueryResult,
  Reader,
  Statement,
  Token,
} from '../database.ts';
import {
  AcquireTimeoutError,
  ConnectRefusedError,
  ConnectionLostError,
  NOT_SENT,
  QueryFailedError,
  TransactionEndedError,
} from '../errors.ts';
import type { ReadHost, ReadHostSelector } from '../hosts/host-router.ts';
import { HostDrained } from '../pool/pool-errors.ts';
import type { Freshness } from '../consistency.ts';

/** The host that a read ran on, and a position of its log that the read includes; only on a primary. */
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

  /** @param trace is filled in; if given, reads on a primary also read the log's position. */
  async run<T>(
    freshness: Freshness,
    work: (reader: Reader) => Promise<T> | T,
    call: CallOptions | undefined,
    trace?: ReadTrace,
  ): Promise<T> {
    const { counts, deadlines } = this.#deps;
    const { clock, queryTimeoutMs } = this.#deps.options;
    const deadline = startDeadline('read', call, { clock, fallbackMs: queryTimeoutMs, deadlines });
    const shared: SharedDeadline = { deadline, inUse: false, isSettled: false };
    try {
      for (let attempt = 1; ; attempt += 1) {
        const host = await this.#hosts.selectHost(freshness, deadline, trace?.key);
        if (host.role === 'standby') counts.replicaReads += 1;
        else if (freshness.kind !== 'strong') counts.primaryFallbacks += 1;
        const reader = new HostReader(host, this.#deps, shared, call?.signal, trace);
        try {
          const value = await work(reader);
          host.served();
          if (trace !== undefined) Object.assign(trace, { key: host.key, role: host.role });
          return value;
        } catch (error) {
          if (!reader.failed || attempt > 1 || deadline.cancellation !== undefined) throw error;
          host.failed();
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
      this.failed ||= isHostFailure(error);
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
    const defaults = { clock, fallbackMs: queryTimeoutMs, atMostMs, signal: this.#signal };
    return startDeadline('reader.query', options, defaults);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
  ): Promise<QueryResult<Row>> {
    const { queries } = this.#deps;
    const { acquire } = this.#host;
    const trace = this.#trace;
    if (trace === undefined || this.role === 'standby') {
      return queries.run<Row>(statement, deadline, true, acquire);
    }
    const { result, token } = await queries.runWithLsn<Row>(statement, deadline, true, acquire);
    trace.token = token;
    return result;
  }
}

/** Whether the read may succeed on another host. A standby reports 40001 when replay cancels a read. */
function isHostFailure(error: unknown): boolean {
  return (
    error instanceof HostDrained ||
    error instanceof ConnectionLostError ||
    error instanceof AcquireTimeoutError ||
    error instanceof ConnectRefusedError ||
    (error instanceof QueryFailedError && isConflict(error.sqlState))
  );
}

function connectionLost({ host }: HostDrained): ConnectionLostError {
  const message = `${host} takes no reads any more; nothing was sent`;
  return new ConnectionLostError(message, { ...NOT_SENT, retryable: true, host });
}
