import type { Clock, CallDeadline } from '@holdfast/foundation';
import type { HostHealth } from '../database.ts';
import type { HostRole } from '../events.ts';
import { TOO_MANY_CONNECTIONS, errorMessage, sqlStateOf } from '../connection/sql-state.ts';
import { CallbackFailedError } from '../errors.ts';
import type { HostPool } from '../pool/host-pool.ts';
import { HostDrained } from '../pool/pool-errors.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { ProbedHost, ProbeReport } from './primary-detection.ts';
import type { HostProbe, ProbeResult } from './host-probe.ts';
import { LatencyTracker } from './latency-tracker.ts';
import type { LogPosition } from '../lsn.ts';

/** While the pool has no connection, the probe opens one anew after so many intervals, as the next call would. */
const INTERVALS_OF_A_CONNECTION = 10;

/** One host: its pool, and its state as last probed. */
export class Host implements ProbedHost {
  readonly pool: HostPool;
  readonly probe: HostProbe;
  readonly latency: LatencyTracker = new LatencyTracker();
  role: HostRole = 'unknown';
  lastProbe: ProbeReport | undefined;
  probedMs: number = -Infinity;
  /** As its probe knows it; a connection of the pool may lead to another server of the same name. */
  replayed: LogPosition | undefined;
  /** Why its position in the log cannot be read. */
  refusal: string | undefined;
  /** Lost connections so far: after each the host may have restarted with less than it had replayed. */
  restarts = 0;
  /** When a probe was last not sent, because a function of the caller had failed. */
  unaskedMs: number = -Infinity;
  #error: unknown;

  constructor(pool: HostPool, probe: HostProbe) {
    this.pool = pool;
    this.probe = probe;
  }

  get name(): string {
    return this.pool.name;
  }

  /** Changes once data that was read from the host may have been lost. */
  get key(): string {
    return `${this.name}#${this.restarts}`;
  }

  /** The error of the last probe, until one succeeds. */
  get error(): unknown {
    return this.#error;
  }

  /** Why it is offline or fenced, or its position unknown. */
  get reason(): string | undefined {
    const timeline = this.lastProbe?.timeline;
    if (this.#error !== undefined) return errorMessage(this.#error);
    if (this.role !== 'fenced' || timeline === undefined) {
      const { refusal } = this;
      return refusal === undefined ? undefined : `its position cannot be read: ${refusal}`;
    }
    return `calls itself primary on timeline ${timeline}, but another host is`;
  }

  /** New connections fail, the pool has none, and the probe still has one from before: it tells nothing of them. */
  get isShut(): boolean {
    const { hasConnections, failedMs } = this.pool.evidence;
    return !hasConnections && failedMs > this.probe.connectedMs;
  }

  /** It is only full, and serves the connections that it has. */
  get isOnlyFull(): boolean {
    const isFull = sqlStateOf(this.#error) === TOO_MANY_CONNECTIONS;
    return isFull && this.pool.evidence.hasConnections;
  }

  /**
   * Has the next probe open a connection where that of the last one tells nothing of those that callers would get.
   * @returns false if there must be none: its connection would be the one that callers wait for.
   */
  prepareProbe(probeIntervalMs: number): boolean {
    const { hasConnections, isFull } = this.pool.evidence;
    if (this.isShut || this.lastProbe?.writable === false) this.probe.renew();
    else if (!hasConnections) this.probe.renew(probeIntervalMs * INTERVALS_OF_A_CONNECTION);
    return !isFull || this.pool.snapshot().waiting === 0;
  }

  /** Probes the host and records the result, `undefined` if it did not respond. */
  async runProbe(clock: Clock, notBeforeMs?: number): Promise<ProbeResult | undefined> {
    const probedMs = clock.now();
    try {
      const result = await this.probe.run(notBeforeMs);
      this.probedMs = Math.max(this.probedMs, result.probedMs);
      this.#error = undefined;
      this.refusal = result.refusal;
      this.lastProbe = { writable: result.writable, timeline: result.timeline };
      this.latency.record(result.tookMs);
      this.#recordPosition(result);
      return result;
    } catch (error) {
      this.#error = error;
      if (error instanceof CallbackFailedError) {
        this.unaskedMs = Math.max(this.unaskedMs, probedMs);
        return undefined;
      }
      this.probedMs = Math.max(this.probedMs, probedMs);
      this.lastProbe = undefined;
      this.replayed = undefined;
      return undefined;
    }
  }

  /**
   * Acquires a connection for reads. A host that is no standby any more rejects, because it may never serve them.
   * @throws HostDrained, and as `HostPool.acquire`
   */
  acquireForRead(deadline: CallDeadline): PooledConnection | Promise<PooledConnection> {
    if (this.role !== 'standby') return Promise.reject(new HostDrained(this.name));
    return this.pool.acquire(deadline);
  }

  health(lagMs: number | undefined): HostHealth {
    const pool = this.pool.snapshot();
    const reason = this.reason ?? pool.connectError;
    const timeline = this.lastProbe?.timeline;
    const { latencyMs } = this.latency;
    return {
      host: this.name,
      role: this.role,
      ...(reason === undefined ? {} : { reason }),
      ...(timeline === undefined ? {} : { timeline }),
      ...(lagMs === undefined ? {} : { lagMs }),
      ...(latencyMs === undefined ? {} : { latencyMs }),
      pool,
    };
  }

  /** Once the database is closed: nothing is known of the host, and nothing is sent to it. */
  closedHealth(): HostHealth {
    const reason = 'the database is closed';
    return { host: this.name, role: 'offline', reason, pool: this.pool.snapshot() };
  }

  #recordPosition({ position, timeline }: ProbeResult): void {
    if (position === undefined || timeline === undefined) return;
    const { replayed } = this;
    if (replayed !== undefined && replayed.timeline === timeline && replayed.position > position)
      return;
    this.replayed = { timeline, position };
  }
}
