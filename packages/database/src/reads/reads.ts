import type { Clock, DeadlineQueue, CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
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
  QueryFailedError,
  TransactionEndedError,
} from '../errors.ts';
import { isConflict } from '../connection/sql-state.ts';
import { HostLeft } from '../pool/host-pool.ts';
import type { CallCounts } from '../calls/call-counts.ts';
import { limitOf } from '../calls/call-deadline.ts';
import type { Freshness } from './consistency.ts';
import type { Queries, Take } from '../calls/queries.ts';
import { readStatement } from '../calls/statement.ts';

/** A host that reads can be sent to. */
export interface ReadHost {
  readonly name: string;
  /** Differs from the one before once what was read there may have been lost. */
  readonly key: string;
  readonly role: 'primary' | 'standby';
  readonly take: Take;
  /** What became of a read there. */
  served(): void;
  failed(): void;
}

export interface ReadsOptions {
  readonly queries: Queries;
  readonly counts: CallCounts;
  readonly clock: Clock;
  readonly queryTimeoutMs: number;
  /** Of `queryTimeoutMs` each. */
  readonly deadlines: DeadlineQueue;
  /** @throws NoWritableHostError when there is none. */
  readonly choose: (
    freshness: Freshness,
    limit: CallDeadline,
    pinned: string | undefined,
  ) => Promise<ReadHost>;
}

/** What a read was done on, and how far the log had come there at least; the latter only at a primary. */
export interface ReadTrace {
  key?: string;
  role?: Reader['role'];
  token?: Token;
}

/** Runs reads, and once more elsewhere when the host they were on is lost. */
export class Reads {
  readonly #options: ReadsOptions;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** @param trace filled in; with it, reads at a primary also note the place. */
  async run<T>(
    freshness: Freshness,
    work: (reader: Reader) => Promise<T> | T,
    call: CallOptions | undefined,
    trace?: ReadTrace,
  ): Promise<T> {
    const { clock, counts, queryTimeoutMs, deadlines, choose } = this.#options;
    const limit = limitOf('read', call, { clock, fallbackMs: queryTimeoutMs, deadlines });
    const whole: Whole = { limit, isTaken: false, isOver: false };
    try {
      for (let attempt = 1; ; attempt += 1) {
        const host = await choose(freshness, limit, trace?.key);
        if (host.role === 'standby') counts.replicaReads += 1;
        else if (freshness.is !== 'strong') counts.primaryFallbacks += 1;
        const reader = new HostReader(host, this.#options, whole, call?.signal, trace);
        try {
          const value = await work(reader);
          host.served();
          if (trace !== undefined) Object.assign(trace, { key: host.key, role: host.role });
          return value;
        } catch (error) {
          if (!reader.failed || attempt > 1 || limit.cancellation !== undefined) throw error;
          host.failed();
          counts.replays += 1;
        } finally {
          reader.end();
        }
      }
    } finally {
      whole.isOver = true;
      if (!whole.isTaken) limit.release();
    }
  }
}

/**
 * The limit of a read. One statement at a time runs by it, because a timer for each costs more than the check of a
 * replica; one beside it takes a limit of its own. Whoever uses it last releases it.
 */
interface Whole {
  readonly limit: CallDeadline;
  isTaken: boolean;
  isOver: boolean;
}

class HostReader implements Reader {
  readonly host: string;
  readonly role: Reader['role'];
  /** The host has failed, not the statement. */
  failed = false;
  readonly #host: ReadHost;
  readonly #options: ReadsOptions;
  readonly #whole: Whole;
  readonly #signal: AbortSignal | undefined;
  readonly #trace: ReadTrace | undefined;
  #ended = false;

  constructor(
    host: ReadHost,
    options: ReadsOptions,
    whole: Whole,
    signal: AbortSignal | undefined,
    trace: ReadTrace | undefined,
  ) {
    this.host = host.name;
    this.role = host.role;
    this.#host = host;
    this.#options = options;
    this.#whole = whole;
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
    const statement = readStatement('reader.query', given, values);
    if (this.#ended) throw new TransactionEndedError('reader');
    const limit = this.#limitFor(options);
    const whole = this.#whole;
    const takesWhole = limit === whole.limit;
    if (takesWhole) whole.isTaken = true;
    try {
      return await this.#run<Row>(statement, limit);
    } catch (error) {
      this.failed ||= isOfTheHost(error);
      throw error instanceof HostLeft ? leftBy(error) : error;
    } finally {
      if (takesWhole) whole.isTaken = false;
      if (!takesWhole || whole.isOver) limit.release();
    }
  }

  #limitFor(options: QueryOptions | undefined): CallDeadline {
    const { clock, queryTimeoutMs } = this.#options;
    const { limit, isTaken } = this.#whole;
    if (options === undefined && !isTaken && limit.timeoutMs <= queryTimeoutMs) return limit;
    const atMostMs = Math.max(1, limit.remainingMs());
    const bounds = { clock, fallbackMs: queryTimeoutMs, atMostMs, signal: this.#signal };
    return limitOf('reader.query', options, bounds);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
  ): Promise<QueryResult<Row>> {
    const { queries } = this.#options;
    const { take } = this.#host;
    const trace = this.#trace;
    if (trace === undefined || this.role === 'standby') {
      return queries.run<Row>(statement, limit, true, take);
    }
    const { result, token } = await queries.runPlaced<Row>(statement, limit, true, take);
    trace.token = token;
    return result;
  }
}

/** Whether the same read may succeed on another host. A standby's 40001 is its replay pushing reads aside. */
function isOfTheHost(error: unknown): boolean {
  return (
    error instanceof HostLeft ||
    error instanceof ConnectionLostError ||
    error instanceof AcquireTimeoutError ||
    error instanceof ConnectRefusedError ||
    (error instanceof QueryFailedError && isConflict(error.sqlState))
  );
}

function leftBy({ host }: HostLeft): ConnectionLostError {
  return new ConnectionLostError(`${host} takes no reads any more; nothing was sent`, {
    phase: 'not-sent',
    outcome: 'not-applied',
    retryable: true,
    host,
  });
}
