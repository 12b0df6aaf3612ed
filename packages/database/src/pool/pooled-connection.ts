import { type CallDeadline, type Clock, sleep } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import type { Connection } from '../connection/connection.ts';
import type { QueryResult, Statement } from '../database.ts';
import type { LinkState } from './link-state.ts';
import { InFlightQuery, type QueryRunner } from './in-flight-query.ts';
import type { PoolCounts } from './pool-counts.ts';
import { mayLeaveState } from '../connection/session-state.ts';

/**
 * The state of a pooled connection.
 *
 * ```
 * connecting ──connected──> idle ──acquire──> busy ──release──> cleaning ──cleaned──> idle
 *     │                      │ ─────check──────────────────────────^  │
 *     └──────────────────────┴───────────── destroy ──────────────────┴──────────> destroyed
 * ```
 */
export type PooledConnectionState = 'connecting' | 'idle' | 'busy' | 'cleaning' | 'destroyed';
export type PooledConnectionEvent =
  | 'connected'
  | 'acquire'
  | 'release'
  | 'check'
  | 'cleaned'
  | 'destroy';

type Transitions = Partial<Record<PooledConnectionEvent, PooledConnectionState>>;

const transitions: Readonly<Record<PooledConnectionState, Transitions>> = {
  connecting: { connected: 'idle', destroy: 'destroyed' },
  idle: { acquire: 'busy', check: 'cleaning', destroy: 'destroyed' },
  busy: { release: 'cleaning', destroy: 'destroyed' },
  cleaning: { cleaned: 'idle', destroy: 'destroyed' },
  destroyed: {},
};

/** @throws TypeError for an event that the state does not permit: the pool has lost track of a connection. */
export function step(
  state: PooledConnectionState,
  event: PooledConnectionEvent,
): PooledConnectionState {
  const next = transitions[state][event];
  if (next === undefined) throw new TypeError(`no ${event} of a connection that is ${state}`);
  return next;
}

interface PooledConnectionDeps {
  readonly connection: Connection;
  /** `host:port`. */
  readonly host: string;
  readonly clock: Clock;
  readonly lifetimeMs: number;
  readonly cancelGraceMs: number;
  /** Whether what callers leave on the session is to be reset. */
  readonly tracksState: boolean;
  readonly release: (pooled: PooledConnection, broken: boolean) => void;
  readonly counts: PoolCounts;
}

/** The pause before a message that goes on is cancelled once more; twice as long each time. */
const CANCEL_AGAIN_MS = 20;

/** A connection with its state in the pool. */
export class PooledConnection implements QueryRunner {
  state: PooledConnectionState = 'connecting';
  readonly connection: Connection;
  readonly host: string;
  readonly counts: PoolCounts;
  /** Called in the tick in which the connection is found dead, or is destroyed. */
  onClose: ((error: unknown) => void) | undefined;
  readonly createdAtMs: number;
  expiresAtMs: number;
  lastResponseMs: number;
  /** When a message was last answered, other than by an error; `-Infinity`: never. */
  servedMs: number = -Infinity;
  /** Whether any message was sent on it. */
  wasAsked = false;
  acquiredAtMs = 0;
  /** When it was last put with the idle ones. */
  idleSinceMs = 0;
  lastSql: string | undefined;
  /** What is known of the server behind it, once a read asked. */
  link: LinkState | undefined;
  /** A caller's settings, locks and so on may be left on it since its last reset: it was leased, or a statement made some. */
  holdsState = false;
  readonly #clock: Clock;
  readonly #cancelGraceMs: number;
  readonly #tracksState: boolean;
  readonly #release: PooledConnectionDeps['release'];
  #query: InFlightQuery<never> | undefined;
  #cancellation: Promise<void> | undefined;

  constructor(deps: PooledConnectionDeps) {
    this.connection = deps.connection;
    this.host = deps.host;
    this.counts = deps.counts;
    this.#clock = deps.clock;
    this.createdAtMs = deps.clock.now();
    this.lastResponseMs = this.createdAtMs;
    this.expiresAtMs = this.createdAtMs + deps.lifetimeMs;
    this.#cancelGraceMs = deps.cancelGraceMs;
    this.#tracksState = deps.tracksState;
    this.#release = deps.release;
  }

  /**
   * Returns the connection to its pool, which ends an open transaction or statement.
   * @param broken destroys it instead.
   */
  release(broken = false): void {
    this.onClose = undefined;
    this.#release(this, broken);
  }

  destroy(): void {
    this.connection.destroy();
  }

  move(event: PooledConnectionEvent): void {
    this.state = step(this.state, event);
  }

  /** Whether a query is under way or being cancelled. */
  get occupied(): boolean {
    return this.#query !== undefined || this.#cancellation !== undefined;
  }

  /** Whether no query is under way and no transaction open. */
  get clean(): boolean {
    return !this.occupied && this.connection.status === 'I';
  }

  /** Whether what callers have left on it must be reset before another one gets it. */
  get mustReset(): boolean {
    return this.#tracksState && this.holdsState;
  }

  /**
   * Runs one statement. If the deadline passes first, it rejects at once, and the statement is cancelled on
   * the server; the connection is not clean before that is done. With `destroy` the connection is destroyed.
   * @throws ConnectionFailure, QueryInterrupted
   */
  run<Row extends QueryResultRow>(
    statement: Statement,
    deadline: CallDeadline,
    onTimeout: 'cancel' | 'destroy' = 'cancel',
  ): Promise<QueryResult<Row>> {
    this.lastSql = statement.text;
    this.track(statement.text);
    return new Promise((resolve, reject) => {
      const query = new InFlightQuery<QueryResult<Row>>(this, deadline, onTimeout, resolve, reject);
      if (this.#begin(query)) this.connection.send<Row>(statement, query);
    });
  }

  /** A text is about to be sent that may leave something on the session. */
  track(text: string): void {
    if (this.#tracksState && !this.holdsState) this.holdsState = mayLeaveState(text);
  }

  /** As {@link run}, for any other exchange, whose texts are given to {@link track}, on the connection. */
  during<T>(exchange: () => Promise<T>, deadline: CallDeadline): Promise<T> {
    return new Promise((resolve, reject) => {
      const query = new InFlightQuery<T>(this, deadline, 'cancel', resolve, reject);
      if (!this.#begin(query)) return;
      exchange().then(
        (value) => query.answered(value, !isAllRejected(value)),
        (error: unknown) => query.failed(error),
      );
    });
  }

  #begin(query: InFlightQuery<never>): boolean {
    const { deadline } = query;
    if (deadline.cancellation !== undefined) {
      query.refuse(deadline.cancellation);
      return false;
    }
    this.#query = query;
    this.wasAsked = true;
    deadline.current = query;
    return true;
  }

  finished(isServed: boolean): void {
    this.#query = undefined;
    this.lastResponseMs = this.#clock.now();
    if (isServed) this.servedMs = this.lastResponseMs;
  }

  /** Resolves once no query is under way; a connection that did not get there is destroyed. */
  async settled(): Promise<void> {
    if (this.#query !== undefined) this.abandon(this.#query);
    await this.#cancellation;
  }

  abandon(query: InFlightQuery<never>): void {
    this.#cancellation ??= this.#cancel(query.ended()).finally(() => {
      this.#cancellation = undefined;
    });
  }

  /** Cancels whatever runs on the server, for at most `cancelGraceMs`; its caller gets the reply to it. */
  async cancelRunning(): Promise<void> {
    if (this.occupied) await this.settled();
    // Of a client that runs its own queries, only the server knows whether any runs.
    else if (this.state === 'busy') await this.connection.cancel(this.#cancelGraceMs);
  }

  /** Until both the query and the request have ended, the request may hit any statement on this connection. */
  async #cancel(ended: Promise<unknown>): Promise<void> {
    const { connection } = this;
    this.counts.cancels += 1;
    const hasEnded = new AbortController();
    const over = ended.finally(() => hasEnded.abort());
    const grace = this.#clock.schedule(this.#cancelGraceMs, () => connection.destroy());
    // A request ends one statement, and the message may have further ones.
    for (let pauseMs = CANCEL_AGAIN_MS; !hasEnded.signal.aborted; pauseMs *= 2) {
      const isDelivered = await connection.cancel(this.#cancelGraceMs).catch(() => false);
      if (!isDelivered) connection.destroy();
      await sleep(this.#clock, pauseMs, hasEnded.signal).catch(() => undefined);
    }
    grace.cancel();
    await over;
  }
}

/** Whether these are the results of several statements, none of which succeeded. */
function isAllRejected(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each: { status?: unknown } | undefined) => each?.status === 'rejected')
  );
}
