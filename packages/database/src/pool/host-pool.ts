import { CallDeadline, type Clock, type Emitter, type Timer } from '@holdfast/foundation';
import type { Connect, Connection } from '../connection/connection.ts';
import { errorMessage } from '../connection/sql-state.ts';
import type { PoolStats } from '../database.ts';
import { AcquireTimeoutError, PoolOverloadedError, type PoolSnapshot } from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import type { ResolvedDatabaseOptions } from '../options.ts';
import { ConnectionFactory } from './connection-factory.ts';
import { PoolCounts } from './pool-counts.ts';
import { HostDrained, connectRefused, databaseClosed } from './pool-errors.ts';
import { PooledConnection } from './pooled-connection.ts';
import { WaitQueue } from './wait-queue.ts';

export type HostPoolOptions = Pick<
  ResolvedDatabaseOptions,
  | 'max'
  | 'maxWaiting'
  | 'acquireTimeoutMs'
  | 'cancelGraceMs'
  | 'validateAfterIdleMs'
  | 'validationTimeoutMs'
  | 'idleTimeoutMs'
  | 'maxLifetimeMs'
  | 'reconnect'
  | 'clock'
  | 'random'
>;

interface HostPoolDeps {
  /** `host:port`. */
  readonly name: string;
  readonly connect: Connect;
  readonly options: HostPoolOptions;
  readonly events: Emitter<DatabaseEvents>;
}

/** Shortens lifetimes at random, so that connections opened together do not expire together. */
const LIFETIME_JITTER = 0.1;
const PING = { text: '' };
const ROLLBACK = { text: 'rollback' };

/**
 * The connections to one host. Callers are served in order, with a connection that has responded recently.
 * While the host is down all callers wait, and one connection attempt at a time probes whether it is back.
 */
export class HostPool {
  readonly name: string;
  readonly counts: PoolCounts = new PoolCounts();
  readonly #options: HostPoolOptions;
  readonly #events: Emitter<DatabaseEvents>;
  readonly #clock: Clock;
  readonly #factory: ConnectionFactory;
  readonly #waiters: WaitQueue<PooledConnection>;
  readonly #connections = new Set<PooledConnection>();
  /** A stack: the one used last is acquired first, so that surplus connections reach the idle timeout. */
  readonly #idle: PooledConnection[] = [];
  #checking = 0;
  #suspectSinceMs = -Infinity;
  #sweepTimer: Timer | undefined;
  #isClosing = false;
  #onEmpty: (() => void) | undefined;

  constructor({ name, connect, options, events }: HostPoolDeps) {
    this.name = name;
    this.#options = options;
    this.#events = events;
    const { max, reconnect, clock, random } = options;
    const { counts } = this;
    this.#clock = clock;
    this.#waiters = new WaitQueue(
      clock,
      (sinceMs) => this.#acquireTimeout(sinceMs),
      () => this.#pump(),
    );
    const connections = this.#connections;
    this.#factory = new ConnectionFactory(
      { name, connect, max, reconnect, counts, events, clock, random },
      {
        get established() {
          return connections.size;
        },
        connected: (connection) => this.#connected(connection),
        refused: (error) => this.#refused(error),
        wake: () => this.#pump(),
      },
    );
  }

  /**
   * Acquires a connection, at once if one is ready. The caller must release it.
   * @throws AcquireTimeoutError, PoolOverloadedError, ConnectRefusedError, DatabaseClosedError, HostDrained,
   *   or the reason of the deadline's signal.
   */
  acquire(
    deadline: CallDeadline,
    timeoutMs: number = this.#options.acquireTimeoutMs,
  ): PooledConnection | Promise<PooledConnection> {
    if (this.#isClosing) throw databaseClosed();
    const nowMs = this.#clock.now();
    if (deadline.cancellation?.kind === 'signal') throw deadline.cancellation.reason;
    if (deadline.cancellation !== undefined) throw this.#acquireTimeout(nowMs);
    if (this.#waiters.size === 0) {
      const pooled = this.#idle.at(-1);
      if (pooled !== undefined && nowMs < pooled.expiresAtMs && !this.#mustCheck(pooled, nowMs)) {
        this.#idle.pop();
        return this.#lease(pooled, nowMs, 0);
      }
    }
    if (this.#waiters.size >= this.#options.maxWaiting) {
      this.counts.overloaded += 1;
      throw new PoolOverloadedError(this.snapshot());
    }
    const timerMs = nowMs + timeoutMs < deadline.endsAtMs ? timeoutMs : undefined;
    const acquired = this.#waiters.wait(deadline, nowMs, timerMs);
    this.#pump(nowMs);
    return acquired;
  }

  /** Sends waiting callers to another host. @param fenced also destroys all connections. */
  drain(fenced: boolean): void {
    this.#waiters.rejectAll(() => new HostDrained(this.name));
    if (fenced) for (const pooled of this.#connections) this.#drop(pooled);
    this.#pump();
  }

  snapshot(): PoolSnapshot {
    const established = this.#connections.size;
    const idle = this.#idle.length;
    const { connecting, error, cap } = this.#factory;
    return {
      host: this.name,
      max: this.#options.max,
      cap,
      total: established + connecting,
      idle,
      busy: established - idle,
      connecting,
      waiting: this.#waiters.size,
      ...(error === undefined ? {} : { connectError: errorMessage(error) }),
    };
  }

  getStats(): PoolStats {
    return { ...this.snapshot(), ...this.counts.read() };
  }

  /** Rejects new callers; resolves when every connection was released, or destroyed by `destroyAll`. */
  close(): Promise<void> {
    this.#isClosing = true;
    for (const pooled of this.#idle.splice(0)) this.#retire(pooled);
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#pump();
    });
  }

  /** Ends whatever `close` still waits for. */
  destroyAll(): void {
    this.#factory.end(databaseClosed());
    this.#waiters.rejectAll(() => databaseClosed());
    for (const pooled of this.#connections) this.#drop(pooled);
    this.#pump();
  }

  /** Takes a connection back. An open transaction or statement is ended first. */
  #release(pooled: PooledConnection, broken: boolean): void {
    if (pooled.state !== 'busy') return;
    const nowMs = this.#clock.now();
    this.counts.useMs.record(nowMs - pooled.acquiredAtMs);
    if (broken || !pooled.connection.alive) this.#drop(pooled);
    else {
      pooled.move('release');
      if (pooled.clean) this.#ready(pooled, nowMs);
      else void this.#clean(pooled);
    }
    this.#pump(nowMs);
  }

  #lease(pooled: PooledConnection, nowMs: number, waitedMs: number): PooledConnection {
    pooled.move('acquire');
    pooled.acquiredAtMs = nowMs;
    pooled.connection.hold(true);
    this.counts.acquired += 1;
    this.counts.waitMs.record(waitedMs);
    return pooled;
  }

  /** Gives a clean connection to the caller that has waited longest, else to the idle ones. */
  #ready(pooled: PooledConnection, nowMs: number): void {
    if (pooled.state !== 'idle') pooled.move('cleaned');
    if (nowMs >= pooled.expiresAtMs) {
      this.#retire(pooled);
      return;
    }
    const waiter = this.#mustCheck(pooled, nowMs) ? undefined : this.#waiters.shift();
    if (waiter !== undefined) waiter.serve(this.#lease(pooled, nowMs, nowMs - waiter.sinceMs));
    else if (this.#isClosing) this.#retire(pooled);
    else {
      pooled.connection.hold(false);
      this.#idle.push(pooled);
      this.#sweepTimer ??= this.#sweepIn(this.#options.idleTimeoutMs);
    }
  }

  #mustCheck(pooled: PooledConnection, nowMs: number): boolean {
    return (
      pooled.lastResponseMs < this.#suspectSinceMs ||
      nowMs - pooled.lastResponseMs > this.#options.validateAfterIdleMs
    );
  }

  /** Serves waiting callers with idle connections, and opens further connections for the rest. */
  #pump(nowMs: number = this.#clock.now()): void {
    while (this.#waiters.size > 0 && this.#checking < this.#waiters.size) {
      const pooled = this.#idle.pop();
      if (pooled === undefined) break;
      if (this.#mustCheck(pooled, nowMs)) void this.#check(pooled);
      else this.#ready(pooled, nowMs);
    }
    this.#factory.fill(this.#waiters.size - this.#factory.connecting - this.#checking, nowMs);
    if (this.#waiters.size > 0) return;
    this.#factory.cancelPendingAttempt();
    if (!this.#isClosing || this.#connections.size + this.#factory.connecting > 0) return;
    this.#sweepTimer?.cancel();
    this.#onEmpty?.();
  }

  #connected(connection: Connection): void {
    const { maxLifetimeMs, cancelGraceMs, random } = this.#options;
    const pooled = new PooledConnection({
      connection,
      host: this.name,
      clock: this.#clock,
      lifetimeMs: maxLifetimeMs * (1 - LIFETIME_JITTER * random()),
      cancelGraceMs,
      release: (given, broken) => this.#release(given, broken),
      counts: this.counts,
    });
    this.#connections.add(pooled);
    connection.onLost = (error) => this.#lost(pooled, error);
    pooled.move('connected');
    this.#ready(pooled, pooled.createdAtMs);
  }

  /** Rejects waiting callers at once, unless established connections can still serve them. */
  #refused(error: unknown): void {
    if (this.#connections.size > 0) return;
    this.#waiters.rejectAll(() => connectRefused(error, this.snapshot()));
  }

  #lost(pooled: PooledConnection, error: unknown): void {
    const nowMs = this.#clock.now();
    const leased = pooled.state === 'busy';
    this.#remove(pooled, error);
    this.counts.lost += 1;
    this.#suspectSinceMs = nowMs;
    this.#factory.suspect(nowMs);
    this.#events.emit('lost', { host: this.name, error: errorMessage(error), leased, atMs: nowMs });
    this.#pump();
  }

  /** Pings an idle connection before it serves a waiting caller; destroys it without a reply. */
  async #check(pooled: PooledConnection): Promise<void> {
    pooled.move('check');
    this.#checking += 1;
    await this.#runInternal(pooled, PING);
    this.#checking -= 1;
    this.#settle(pooled);
  }

  async #clean(pooled: PooledConnection): Promise<void> {
    await pooled.settled();
    if (pooled.connection.alive && pooled.connection.status !== 'I') {
      await this.#runInternal(pooled, ROLLBACK);
    }
    this.#settle(pooled);
  }

  async #runInternal(pooled: PooledConnection, statement: { text: string }): Promise<void> {
    const deadline = new CallDeadline(this.#clock, this.#options.validationTimeoutMs);
    try {
      await pooled.run(statement, deadline, 'destroy');
    } catch {
      this.#drop(pooled);
    } finally {
      deadline.release();
    }
  }

  #settle(pooled: PooledConnection): void {
    if (pooled.state === 'cleaning') {
      // As of its reply: the time since then must not cause another check.
      if (pooled.connection.alive && pooled.clean) this.#ready(pooled, pooled.lastResponseMs);
      else this.#drop(pooled);
    }
    this.#pump();
  }

  #retire(pooled: PooledConnection): void {
    this.counts.retired += 1;
    this.#remove(pooled);
    pooled.connection.close();
  }

  #drop(pooled: PooledConnection): void {
    this.#remove(pooled);
    pooled.destroy();
  }

  #remove(pooled: PooledConnection, error?: unknown): void {
    if (pooled.state === 'destroyed') return;
    pooled.move('destroy');
    pooled.connection.onLost = undefined;
    pooled.onClose?.(error);
    this.#connections.delete(pooled);
    const at = this.#idle.indexOf(pooled);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #sweepIn(delayMs: number): Timer {
    return this.#clock.schedule(delayMs, () => this.#sweep(), { holdsProcess: false });
  }

  /** Closes connections past the idle timeout; the first of the idle ones has waited longest. */
  #sweep(): void {
    this.#sweepTimer = undefined;
    const nowMs = this.#clock.now();
    const { idleTimeoutMs } = this.#options;
    const old = this.#idle.filter(
      ({ lastResponseMs, expiresAtMs }) =>
        nowMs - lastResponseMs >= idleTimeoutMs || nowMs >= expiresAtMs,
    );
    for (const pooled of old) this.#retire(pooled);
    const [next] = this.#idle;
    if (next === undefined) return;
    this.#sweepTimer = this.#sweepIn(Math.max(1, next.lastResponseMs + idleTimeoutMs - nowMs));
  }

  #acquireTimeout(sinceMs: number): AcquireTimeoutError {
    this.counts.acquireTimeouts += 1;
    const waitedMs = this.#clock.now() - sinceMs;
    return new AcquireTimeoutError(waitedMs, this.snapshot(), this.#factory.error);
  }
}
