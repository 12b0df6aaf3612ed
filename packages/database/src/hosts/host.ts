import type { Clock, CallDeadline } from '@holdfast/foundation';
import type { HostHealth } from '../database.ts';
import type { HostRole } from '../events.ts';
import { inWords } from '../connection/sql-state.ts';
import { HostLeft, type HostPool } from '../pool/host-pool.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import type { Candidate, Sighting } from './primary-detection.ts';
import type { HostProbe, ProbeAnswer } from './host-probe.ts';
import { Nearness } from './latency-tracker.ts';
import type { ReplayFloor } from './lag-estimator.ts';

/** One host: its links, and what is known about it. */
export class Host implements Candidate {
  readonly pool: HostPool;
  readonly probe: HostProbe;
  readonly nearness: Nearness = new Nearness();
  role: HostRole = 'unknown';
  sighting: Sighting | undefined;
  askedMs: number = -Infinity;
  floor: ReplayFloor | undefined;
  /** It may have come back with less than it had replayed: what was read there before may be missing. */
  restarts = 0;
  #reason: string | undefined;

  constructor(pool: HostPool, probe: HostProbe) {
    this.pool = pool;
    this.probe = probe;
  }

  get name(): string {
    return this.pool.name;
  }

  /** Differs once what was read there may have been lost. */
  get key(): string {
    return `${this.name}#${this.restarts}`;
  }

  /** Why it does not answer, or is fenced. */
  get reason(): string | undefined {
    const timeline = this.sighting?.timeline;
    if (this.#reason !== undefined || this.role !== 'fenced' || timeline === undefined) {
      return this.#reason;
    }
    return `calls itself primary on timeline ${timeline}, but another host is`;
  }

  /** Asks it anew, and takes down what it says, or that it says nothing. */
  async ask(clock: Clock, notBeforeMs?: number): Promise<ProbeAnswer | undefined> {
    const askedMs = clock.now();
    try {
      const answer = await this.probe.ask(notBeforeMs);
      this.askedMs = Math.max(this.askedMs, answer.askedMs);
      this.#reason = undefined;
      this.sighting = { writable: answer.writable, timeline: answer.timeline };
      this.nearness.answered(answer.tookMs);
      this.#raise(answer);
      return answer;
    } catch (error) {
      this.askedMs = Math.max(this.askedMs, askedMs);
      this.#reason = inWords(error);
      this.sighting = undefined;
      this.floor = undefined;
      return undefined;
    }
  }

  /**
   * A link for reads, as long as it is a standby: those who come later than it went would wait for nothing.
   * @throws HostLeft, and as `HostPool.acquire`
   */
  readable(limit: CallDeadline): Slot | Promise<Slot> {
    if (this.role !== 'standby') return Promise.reject(new HostLeft(this.name));
    return this.pool.acquire(limit);
  }

  health(lagMs: number | undefined): HostHealth {
    const pool = this.pool.snapshot();
    const reason = this.reason ?? pool.connectError;
    const timeline = this.sighting?.timeline;
    const { latencyMs } = this.nearness;
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

  #raise({ position, timeline }: ProbeAnswer): void {
    if (position === undefined || timeline === undefined) return;
    const { floor } = this;
    if (floor !== undefined && floor.timeline === timeline && floor.position > position) return;
    this.floor = { timeline, position };
  }
}
