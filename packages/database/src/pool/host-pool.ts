import { CallDeadline, type Clock, type Emitter } from '@holdfast/foundation';
import type { Connection } from '../connection/connection.ts';
import { TOO_MANY_CONNECTIONS, errorMessage, sqlStateOf } from '../connection/sql-state.ts';
import type { PoolStats } from '../database.ts';
import {
  AcquireTimeoutError,
  CallbackFailedError,
  PoolOverloadedError,
  type PoolSnapshot,
} from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { ConnectionFactory } from './connection-factory.ts';
import type { HostPoolDeps, HostPoolOptions, PoolEvidence } from './host-pool-deps.ts';
import { EvidenceLog } from './evidence-log.ts';
import { type IdlePolicy, IdleSweeper } from './idle-sweeper.ts';
import { acquireLimitMs } from './own-deadline.ts';
import { PoolCounts } from './pool-counts.ts';
import { HostDrained, callbackFailure, connectRefused, databaseClosed } from './pool-errors.ts';
import { PooledConnection } from './pooled-connection.ts';
import { type Wait, WaitQueue } from './wait-queue.ts';

/** Shortens lifetimes at random, so that connections opened together do not expire together. */
const LIFETIME_JITTER = 0.1;
const PING = { text: '' };
const ROLLBACK = { text: 'rollback' };
const RESET = { text: 'discard all' };

/**
 * The connections to one host. Callers are served in order, with a connection that has responded recently.
 * While the host is down all callers wait, and one connection attempt at a time probes whether it is back.
 */
export class HostPool {
  readonly name: string;
  readonly counts: PoolCounts = new PoolCounts();
  readonly #options: HostPoolOptions;
  readonly #policy: IdlePolicy;
  readonly #events: Emitter<DatabaseEvents>;
  readonly #clock: Clock;
  readonly #factory: ConnectionFactory;
  readonly #waiters: WaitQueue<PooledConnection>;
  readonly #connections = new Set<PooledConnection>();
  /** A stack: the one used last is acquired first, so that surplus connections reach the idle timeout. */
  readonly #idle: PooledConnection[] = [];
  readonly #sweeper: IdleSweeper;
  #checking = 0;
  #suspectSinceMs = -Infinity;
  readonly #evidence = new EvidenceLog();
  #isClosing = false;
  #onEmpty: (() => void) | undefined;

  constructor({ name, connect, options, policy = {}, events }: HostPoolDeps) {
    this.name = name;
    this.#options = options;
    this.#policy = policy;
    this.#events = events;
    const { max, reconnect, clock, random } = options;
    const { counts } = this;
    this.#clock = clock;
    this.#waiters = new WaitQueue(
      clock,
      (wait) => this.#acquireTimeout(wait),
      () => this.#pump(),
    );
    const connections = this.#connections;
    this.#sweeper = new IdleSweeper({
      clock,
      idleTimeoutMs: options.idleTimeoutMs,
      min: policy.min ?? 0,
      holdsProcess: policy.holdsProcess ?? false,
      idle: this.#idle,
      total: () => connections.size,
      retire: (pooled) => this.#retire(pooled),
    });
    this.#factory = new ConnectionFactory(
      { name, connect, max, reconnect, counts, events, clock, random },
      {
        get established() {
          return connections.size;
        },
        connected: (connection) => this.#connected(connection),
        refused: (error) => this.#refused(error),
        rejected: (error) => this.#waiters.shift()?.reject(connectRefused(error, this.snapshot())),
        failed: () => this.#failed(),
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
    timeoutMs: number = acquireLimitMs(deadline, this.#options.acquireTimeoutMs),
  ): PooledConnection | Promise<PooledConnection> {
    if (this.#isClosing) throw databaseClosed();
    const nowMs = this.#clock.now();
    if (deadline.cancellation?.kind === 'signal') throw deadline.cancellation.reason;
    if (deadline.cancellation !== undefined) {
      throw this.#acquireTimeout({ sinceMs: nowMs, timeoutMs: deadline.timeoutMs });
    }
    if (this.#waiters.size === 0) {
      const pooled = this.#idle.at(-1);
      if (pooled !== undefined && nowMs < pooled.expiresAtMs && !this.#mustCheck(pooled, nowMs)) {
        this.#idle.pop();
        return this.#lease(pooled, nowMs, 0);
      }
    }
    // A connection that can still be opened is nobody's to wait for.
    const openable = this.#options.max - this.#connections.size;
    if (this.#waiters.size >= Math.max(this.#options.maxWaiting, openable)) {
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

  /** Closes every connection, each once it is released: the host's name leads to another server by now. */
  renew(): void {
    for (const pooled of this.#connections) pooled.expiresAtMs = -Infinity;
    for (const pooled of this.#idle.splice(0)) this.#retire(pooled);
  }

  /** What the connections tell of the host, in times of its clock; `-Infinity`: never. */
  get evidence(): PoolEvidence {
    for (const pooled of this.#connections) this.#evidence.remember(pooled);
    const hasConnections = this.#connections.size > 0;
    const { repliedMs, servedMs, deniedMs } = this.#evidence;
    return {
      repliedMs,
      servedMs,
      deniedMs,
      lostMs: this.#suspectSinceMs,
      failedMs: this.#factory.failedMs,
      unaskedMs: this.#factory.unaskedMs,
      isFull: !hasConnections && sqlStateOf(this.#factory.error) === TOO_MANY_CONNECTIONS,
      hasConnections,
    };
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

  /** Ends whatever `close` still waits for, within `cancelGraceMs`. */
  destroyAll(): void {
    this.#factory.end(databaseClosed());
    this.#waiters.rejectAll(() => databaseClosed());
    for (const pooled of this.#connections) void this.#cutOff(pooled);
    this.#pump();
  }

  /** The server would go on with a statement whose connection is gone, so it is cancelled first. */
  async #cutOff(pooled: PooledConnection): Promise<void> {
    if (pooled.state !== 'idle') await pooled.cancelRunning();
    this.#drop(pooled);
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
      if (pooled.clean && !pooled.mustReset) this.#ready(pooled, nowMs);
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
    if (nowMs >= pooled.expiresAtMs || pooled.connection.mustClose) {
      this.#retire(pooled);
      return;
    }
    const waiter = this.#mustCheck(pooled, nowMs) ? undefined : this.#waiters.shift();
    if (waiter !== undefined) waiter.serve(this.#lease(pooled, nowMs, nowMs - waiter.sinceMs));
    else if (this.#isClosing) this.#retire(pooled);
    else {
      if (this.#policy.holdsProcess !== true) pooled.connection.hold(false);
      this.#idle.push(pooled);
      this.#sweeper.watch(pooled, nowMs);
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
    if (!this.#isClosing) return;
    // No call waits for an attempt to connect any more, and none will.
    this.#factory.end(databaseClosed());
    if (this.#connections.size + this.#factory.connecting > 0) return;
    this.#sweeper.stop();
    this.#onEmpty?.();
  }

  #connected(connection: Connection): void {
    const { maxLifetimeMs, cancelGraceMs, resetOnRelease, random } = this.#options;
    const pooled = new PooledConnection({
      connection,
      host: this.name,
      clock: this.#clock,
      lifetimeMs: maxLifetimeMs * (1 - LIFETIME_JITTER * random()),
      cancelGraceMs,
      tracksState: resetOnRelease,
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

  /** While connections are established, the host is not away. */
  #failed(): void {
    const { outageTimeoutMs } = this.#policy;
    if (outageTimeoutMs === undefined || this.#connections.size > 0) return;
    this.#waiters.rejectWaitingSince(this.#clock.now() - outageTimeoutMs);
  }

  #lost(pooled: PooledConnection, error: unknown): void {
    const nowMs = this.#clock.now();
    const leased = pooled.state === 'busy';
    this.#remove(pooled, error);
    this.counts.lost += 1;
    this.#suspectSinceMs = nowMs;
    this.#evidence.lost(pooled, nowMs);
    this.#factory.suspect(nowMs);
    this.#events.emit('lost', { host: this.name, error: errorMessage(error), leased, atMs: nowMs });
    this.#pump();
  }

  /** Pings an idle connection before it serves a waiting caller; destroys it without a reply. */
  async #check(pooled: PooledConnection): Promise<void> {
    this.#checking += 1;
    const answered = await this.#ping(pooled);
    this.#checking -= 1;
    if (!answered) this.#suspectIdle();
    this.#settle(pooled);
  }

  /**
   * One connection is dead in silence, so perhaps all are, as after a change of the network. They are pinged together,
   * and callers do not wait for them: new connections are opened meanwhile.
   */
  #suspectIdle(): void {
    this.#suspectSinceMs = this.#clock.now();
    for (const pooled of this.#idle.splice(0)) {
      void this.#ping(pooled).then(() => this.#settle(pooled));
    }
  }

  #ping(pooled: PooledConnection): Promise<boolean> {
    pooled.move('check');
    return this.#runInternal(pooled, PING);
  }

  async #clean(pooled: PooledConnection): Promise<void> {
    await pooled.settled();
    if (pooled.connection.alive && pooled.connection.status !== 'I') {
      await this.#runInternal(pooled, ROLLBACK);
    }
    if (pooled.connection.alive && pooled.clean && pooled.mustReset) {
      pooled.holdsState = false;
      await this.#runInternal(pooled, RESET);
    }
    this.#settle(pooled);
  }

  /** @returns whether it was answered; if not, the connection is destroyed. */
  async #runInternal(pooled: PooledConnection, statement: { text: string }): Promise<boolean> {
    const deadline = new CallDeadline(this.#clock, this.#options.validationTimeoutMs);
    try {
      await pooled.run(statement, deadline, 'destroy');
      return true;
    } catch {
      this.#drop(pooled);
      return false;
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
    this.#evidence.remember(pooled);
    pooled.move('destroy');
    pooled.connection.onLost = undefined;
    pooled.onClose?.(error);
    this.#connections.delete(pooled);
    const at = this.#idle.indexOf(pooled);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #acquireTimeout({ sinceMs, timeoutMs }: Wait): AcquireTimeoutError | CallbackFailedError {
    this.counts.acquireTimeouts += 1;
    const { error } = this.#factory;
    // Until a function of the caller works there is nothing to wait for.
    if (error instanceof CallbackFailedError && this.#connections.size === 0) {
      return callbackFailure(error);
    }
    const waitedMs = this.#clock.now() - sinceMs;
    return new AcquireTimeoutError({ waitedMs, timeoutMs }, this.snapshot(), error);
  }
}
