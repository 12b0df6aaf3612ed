import type { Clock, CallDeadline } from '@holdfast/foundation';
import type { HostHealth } from '../database.ts';
import type { HostRole } from '../events.ts';
import { errorMessage } from '../connection/sql-state.ts';
import type { HostPool } from '../pool/host-pool.ts';
import { HostDrained } from '../pool/pool-errors.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { ProbedHost, ProbeReport } from './primary-detection.ts';
import type { HostProbe, ProbeResult } from './host-probe.ts';
import { LatencyTracker } from './latency-tracker.ts';
import type { ReplayedPosition } from './lag-estimator.ts';

/** One host: its pool, and its state as last probed. */
export class Host implements ProbedHost {
  readonly pool: HostPool;
  readonly probe: HostProbe;
  readonly latency: LatencyTracker = new LatencyTracker();
  role: HostRole = 'unknown';
  lastProbe: ProbeReport | undefined;
  probedMs: number = -Infinity;
  replayed: ReplayedPosition | undefined;
  /** Lost connections so far: after each the host may have restarted with less than it had replayed. */
  restarts = 0;
  #reason: string | undefined;

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

  /** Why it is offline or fenced. */
  get reason(): string | undefined {
    const timeline = this.lastProbe?.timeline;
    if (this.#reason !== undefined || this.role !== 'fenced' || timeline === undefined) {
      return this.#reason;
    }
    return `calls itself primary on timeline ${timeline}, but another host is`;
  }

  /** Probes the host and records the result, `undefined` if it did not respond. */
  async runProbe(clock: Clock, notBeforeMs?: number): Promise<ProbeResult | undefined> {
    const probedMs = clock.now();
    try {
      const result = await this.probe.run(notBeforeMs);
      this.probedMs = Math.max(this.probedMs, result.probedMs);
      this.#reason = undefined;
      this.lastProbe = { writable: result.writable, timeline: result.timeline };
      this.latency.record(result.tookMs);
      this.#recordPosition(result);
      return result;
    } catch (error) {
      this.probedMs = Math.max(this.probedMs, probedMs);
      this.#reason = errorMessage(error);
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

  #recordPosition({ position, timeline }: ProbeResult): void {
    if (position === undefined || timeline === undefined) return;
    const { replayed } = this;
    if (replayed !== undefined && replayed.timeline === timeline && replayed.position > position)
      return;
    this.replayed = { timeline, position };
  }
}
