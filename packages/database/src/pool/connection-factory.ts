import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock, Emitter, Random, Timer } from '@holdfast/foundation';
import { type Connect, type Connection, ConnectionRejected } from '../connection/connection.ts';
import {
  TOO_MANY_CONNECTIONS,
  errorMessage,
  mayConnectLater,
  sqlStateOf,
} from '../connection/sql-state.ts';
import { CallbackFailedError } from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { ConnectBackoff } from './connect-backoff.ts';
import { LearnedCap } from './learned-cap.ts';
import type { PoolCounts } from './pool-counts.ts';

interface ConnectionFactoryDeps {
  /** `host:port`. */
  readonly name: string;
  readonly connect: Connect;
  readonly max: number;
  readonly reconnect: { readonly initialDelayMs: number; readonly maxDelayMs: number };
  readonly counts: PoolCounts;
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the factory needs of its pool. */
interface PoolCallbacks {
  /** How many connections are established. */
  readonly established: number;
  connected(connection: Connection): void;
  /** The server rejects this client, and waiting would not help. */
  refused(error: unknown): void;
  /** A connection was established and rejected: the caller that has waited longest hears of it. */
  rejected(error: ConnectionRejected): void;
  /** An attempt failed, and a later one may succeed. */
  failed(): void;
  /** Connections may be needed, and possible to open, again. */
  wake(): void;
}

/** Opens connections to one host: at most as many as it accepts, and one at a time while it is down. */
export class ConnectionFactory {
  /** Attempts under way. */
  connecting = 0;
  /** The error of the last attempt, until one succeeds. */
  error: unknown;
  /** When an attempt last failed; a server that is only full, or whose connection was rejected, is up. */
  failedMs: number = -Infinity;
  /** When a function of the caller last failed, so that the server was not asked. */
  unaskedMs: number = -Infinity;
  readonly #deps: ConnectionFactoryDeps;
  readonly #pool: PoolCallbacks;
  readonly #backoff: ConnectBackoff;
  readonly #cap: LearnedCap;
  readonly #ending = new AbortController();
  #attemptTimer: Timer | undefined;
  /** Connections outlive the call that needed them, so they must not run in its async context. */
  readonly #outside: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();

  constructor(deps: ConnectionFactoryDeps, pool: PoolCallbacks) {
    this.#deps = deps;
    this.#pool = pool;
    this.#backoff = new ConnectBackoff(deps.reconnect, deps.random);
    this.#cap = new LearnedCap(deps.max);
  }

  get cap(): number {
    return this.#cap.value;
  }

  /** Opens `missing` connections as far as permitted; otherwise sets a timer that wakes the pool. */
  fill(missing: number, nowMs: number): void {
    if (missing <= 0) return;
    for (let opened = 0; opened < missing && this.#mayOpen(nowMs); opened += 1) {
      void this.#outside(() => this.#open(nowMs));
    }
  }

  /** A connection was lost. */
  suspect(nowMs: number): void {
    this.#backoff.suspect(nowMs);
  }

  /** No connection is needed at this time. */
  cancelPendingAttempt(): void {
    this.#attemptTimer?.cancel();
    this.#attemptTimer = undefined;
  }

  end(reason: Error): void {
    this.cancelPendingAttempt();
    this.#ending.abort(reason);
  }

  #mayOpen(nowMs: number): boolean {
    const total = this.#pool.established + this.connecting;
    if (total >= this.#deps.max || this.#ending.signal.aborted) return false;
    const dueInMs = this.#backoff.dueInMs(nowMs);
    if (dueInMs === undefined) return false;
    if (dueInMs > 0) {
      this.#attemptTimer ??= this.#deps.clock.schedule(dueInMs, () => {
        this.#attemptTimer = undefined;
        this.#pool.wake();
      });
      return false;
    }
    return total < this.#cap.value || this.#cap.raise(nowMs);
  }

  async #open(startedMs: number): Promise<void> {
    const { connect, clock } = this.#deps;
    const isProbe = this.#backoff.beginAttempt();
    this.connecting += 1;
    try {
      const connection = await connect({ signal: this.#ending.signal });
      this.connecting -= 1;
      if (this.#ending.signal.aborted) connection.destroy();
      else this.#connected(connection, startedMs);
    } catch (error) {
      this.connecting -= 1;
      if (!this.#ending.signal.aborted) this.#failed(error, isProbe, clock.now());
    }
    this.#pool.wake();
  }

  #connected(connection: Connection, startedMs: number): void {
    const { name, counts, events, clock } = this.#deps;
    const nowMs = clock.now();
    this.error = undefined;
    this.#backoff.succeeded(nowMs);
    this.#cap.succeeded(this.#pool.established + this.connecting + 1);
    counts.connects += 1;
    counts.connectMs.record(nowMs - startedMs);
    this.#pool.connected(connection);
    events.emit('connected', { host: name, tookMs: nowMs - startedMs, atMs: nowMs });
  }

  #failed(error: unknown, isProbe: boolean, nowMs: number): void {
    const { name: host, counts, events } = this.#deps;
    this.error = error;
    counts.connectFailures += 1;
    const others = this.#pool.established + this.connecting;
    if (sqlStateOf(error) === TOO_MANY_CONNECTIONS && others > 0) {
      this.#cap.refused(others, nowMs);
      if (isProbe) this.#backoff.succeeded(nowMs);
      events.emit('capped', { host, cap: this.#cap.value, atMs: nowMs });
      return;
    }
    const isUp = error instanceof ConnectionRejected;
    const isUnasked = error instanceof CallbackFailedError;
    if (isUnasked) this.unaskedMs = nowMs;
    else if (!isUp) this.failedMs = nowMs;
    if (isUp) this.#backoff.succeeded(nowMs);
    const delayMs = isUp ? 0 : this.#backoff.failed(nowMs, isProbe);
    const { attempts: attempt } = this.#backoff;
    if (isUp) this.#pool.rejected(error);
    else if (mayConnectLater(isUnasked ? error.cause : error)) this.#pool.failed();
    else this.#pool.refused(error);
    const failed = { host, error: errorMessage(error), attempt, delayMs, atMs: nowMs };
    events.emit('connect-failed', failed);
  }
}
