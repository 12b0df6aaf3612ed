import type { CallDeadline, Clock, Emitter, Timer } from '@holdfast/foundation';
import { errorMessage } from '../connection/sql-state.ts';
import type { DatabaseHealth } from '../database.ts';
import { CallbackFailedError, NOT_SENT, NoWritableHostError } from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { acquireLimitMs } from '../pool/own-deadline.ts';
import { HostDrained, callbackFailure, databaseClosed } from '../pool/pool-errors.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { WaitQueue } from '../pool/wait-queue.ts';
import type { HostRouter, ReportedConnection } from './host-router.ts';
import type { Host } from './host.ts';
import { LagEstimator } from './lag-estimator.ts';
import { type ClusterView, detectPrimary, roleOf } from './primary-detection.ts';
import { Fence, type TimelineFence } from './timeline-fence.ts';

interface ClusterDeps {
  readonly hosts: readonly Host[];
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly probeIntervalMs: number;
  readonly acquireTimeoutMs: number;
  readonly maxWaiting: number;
  readonly minHostsSeen: number;
  readonly fenceStore: TimelineFence | undefined;
  readonly fenceTimeoutMs: number;
}

/** Probe intervals while the primary is unknown, of hosts that respond and of hosts that do not. */
const SUSPECT_INTERVAL_MS = 50;
const OFFLINE_INTERVAL_MS = 200;

const FENCE_ADVICE =
  'which is tried again; mend its store, or open the database without a fence to write nevertheless';

/**
 * Several hosts, one of which accepts writes. From the first call on each is probed for its role and position. A
 * lost connection or a rejected write makes the primary suspect, and writes wait until it is known again.
 */
export class Cluster implements HostRouter {
  readonly hosts: readonly Host[];
  readonly lag: LagEstimator = new LagEstimator();
  readonly #deps: ClusterDeps;
  /** Writers that wait until the primary is known. */
  readonly #waiters: WaitQueue<Host>;
  readonly #timers = new Map<Host, Timer>();
  readonly #stopListening: () => void;
  #primary: Host | undefined;
  #lastPrimary: Host | undefined;
  #suspectSinceMs = -Infinity;
  /** The primary is suspect because of a lost connection alone, which need not be an outage: its probe tells. */
  #isDoubted = false;
  /** The timeline of the last primary. */
  #lastTimeline = 0;
  readonly #fence: Fence;
  #state: 'new' | 'watching' | 'ended' = 'new';

  constructor(deps: ClusterDeps) {
    this.#deps = deps;
    this.hosts = deps.hosts;
    const { clock, fenceStore, fenceTimeoutMs } = deps;
    this.#fence = new Fence({
      fenceStore,
      clock,
      timeoutMs: fenceTimeoutMs,
      onProgress: () => this.#reevaluate(),
      onFailure: (action, error) => this.#fenceFailed(action, error),
    });
    this.#waiters = new WaitQueue(clock, () => this.#noWritableHost());
    this.#stopListening = deps.events.on('lost', ({ host }) => this.#connectionLost(host));
  }

  get primary(): Host | undefined {
    this.#start();
    return this.#primary;
  }

  acquirePrimary(
    deadline: CallDeadline,
    timeoutMs: number = acquireLimitMs(deadline, this.#deps.acquireTimeoutMs),
  ): Promise<PooledConnection> {
    this.#start();
    return this.#acquirePrimary(deadline, this.#deps.clock.now() + timeoutMs);
  }

  reportReadOnly({ host: name }: ReportedConnection): boolean {
    const host = this.hosts.find((each) => each.name === name);
    // Its name may lead to another server by now.
    host?.pool.renew();
    host?.probe.renew();
    if (host !== undefined && host === this.#primary) this.#suspect(host);
    return true;
  }

  /** The host that accepts writes, waiting until there is one. @throws NoWritableHostError */
  async primaryWithin(deadline: CallDeadline): Promise<Host> {
    this.#start();
    const limitMs = acquireLimitMs(deadline, this.#deps.acquireTimeoutMs);
    return this.#primary ?? this.#waitForPrimary(deadline, limitMs);
  }

  /** Probes one host now, and reevaluates the roles of all. */
  async probe(host: Host, notBeforeMs?: number): Promise<void> {
    if (this.#state === 'ended') return;
    const { clock, probeIntervalMs } = this.#deps;
    if (this.#primary === undefined) host.probe.renew(probeIntervalMs);
    else if (host.isShut && !host.prepareProbe(probeIntervalMs)) return;
    const answer = await host.runProbe(clock, notBeforeMs);
    if (this.#isEnded()) return;
    if (answer?.writable === true && host === this.#primary && answer.position !== undefined) {
      this.lag.record(answer.probedMs, answer.position);
    }
    this.#reevaluate();
  }

  health(): DatabaseHealth {
    if (this.#state === 'new') this.#start();
    const nowMs = this.#deps.clock.now();
    const hosts = this.hosts.map((host) => {
      const { replayed, role } = host;
      const lagMs =
        role === 'standby' && replayed !== undefined
          ? this.lag.lagMs(replayed.position, nowMs)
          : Infinity;
      const known = host.health(lagMs === Infinity ? undefined : lagMs);
      return host.isShut ? { ...known, role: 'offline' as const } : known;
    });
    const isComplete = hosts.every(({ role }) => role === 'primary' || role === 'standby');
    const primary = this.#primary?.isShut === true ? undefined : this.#primary;
    const isDoubted = this.#primary === undefined && this.#awaitsProbe();
    const level =
      primary === undefined && !isDoubted
        ? 'critical'
        : isComplete && primary !== undefined
          ? 'healthy'
          : 'degraded';
    return { level, primary: primary?.name, hosts };
  }

  end(): void {
    this.#state = 'ended';
    this.#stopListening();
    for (const timer of this.#timers.values()) timer.cancel();
    for (const host of this.hosts) host.probe.end();
    this.#fence.end();
    this.#waiters.rejectAll(() => databaseClosed());
  }

  async #acquirePrimary(deadline: CallDeadline, endsAtMs: number): Promise<PooledConnection> {
    while (true) {
      const remainingMs = Math.max(1, endsAtMs - this.#deps.clock.now());
      const host = this.#primary ?? (await this.#waitForPrimary(deadline, remainingMs));
      try {
        return await host.pool.acquire(deadline, remainingMs);
      } catch (error) {
        if (!(error instanceof HostDrained)) throw error;
      }
    }
  }

  /** @throws NoWritableHostError at the deadline or when too many wait, or the signal's reason. */
  async #waitForPrimary(deadline: CallDeadline, timeoutMs: number): Promise<Host> {
    const { cancellation } = deadline;
    if (cancellation?.kind === 'signal') throw cancellation.reason;
    const { clock, maxWaiting } = this.#deps;
    if (cancellation !== undefined || this.#waiters.size >= maxWaiting)
      throw this.#noWritableHost();
    // A timer also where the deadline comes first: nothing else may keep the process alive meanwhile.
    const timerMs = Math.min(timeoutMs, deadline.remainingMs());
    return this.#waiters.wait(deadline, clock.now(), timerMs);
  }

  #start(): void {
    if (this.#state === 'ended') throw databaseClosed();
    if (this.#state === 'watching') return;
    this.#state = 'watching';
    this.#suspectSinceMs = this.#deps.clock.now();
    this.#fence.begin();
    for (const host of this.hosts) void this.#watch(host);
  }

  /** Probes a host repeatedly, more often while the primary is unknown. */
  async #watch(host: Host, notBeforeMs?: number): Promise<void> {
    this.#timers.get(host)?.cancel();
    this.#timers.delete(host);
    await this.probe(host, notBeforeMs);
    if (this.#isEnded() || this.#timers.has(host)) return;
    const again = (): void => void this.#watch(host);
    // Callers that wait for a primary have timers of their own that keep the process alive.
    const timer = this.#deps.clock.schedule(this.#intervalOf(host), again, {
      holdsProcess: false,
    });
    this.#timers.set(host, timer);
  }

  #intervalOf(host: Host): number {
    const { probeIntervalMs } = this.#deps;
    if (this.#primary !== undefined) return probeIntervalMs;
    const isOffline = host.lastProbe === undefined;
    return Math.min(probeIntervalMs, isOffline ? OFFLINE_INTERVAL_MS : SUSPECT_INTERVAL_MS);
  }

  #connectionLost(name: string): void {
    if (this.#state !== 'watching') return;
    const host = this.hosts.find((each) => each.name === name);
    if (host === undefined) return;
    host.replayed = undefined;
    host.restarts += 1;
    if (host === this.#primary) {
      this.#isDoubted = true;
      this.#suspect(host);
    } else void this.#watch(host, this.#deps.clock.now());
  }

  /** Probes are under way since a connection was lost, and that of the primary does not speak against it. */
  #awaitsProbe(): boolean {
    const last = this.#lastPrimary;
    if (!this.#isDoubted || last === undefined) return false;
    const isPending = ({ probedMs, unaskedMs }: Host): boolean =>
      Math.max(probedMs, unaskedMs) < this.#suspectSinceMs;
    return last.lastProbe?.writable === true && this.hosts.some(isPending);
  }

  /** The primary is unknown from now on: its waiting callers wait here, and all hosts are probed at once. */
  #suspect(host: Host): void {
    const nowMs = this.#deps.clock.now();
    this.#primary = undefined;
    this.#lastPrimary = host;
    this.#suspectSinceMs = nowMs;
    host.pool.drain(false);
    this.#assignRoles();
    for (const each of this.hosts) void this.#watch(each, nowMs);
  }

  #view(): ClusterView<Host> {
    return {
      hosts: this.hosts,
      lastPrimary: this.#primary ?? this.#lastPrimary,
      suspectSinceMs: this.#suspectSinceMs,
      timeline: this.#fence.timeline,
      lastTimeline: this.#lastTimeline,
      minHostsSeen: this.#deps.minHostsSeen,
    };
  }

  #reevaluate(): void {
    for (const { lastProbe } of this.hosts) this.#fence.raise(lastProbe?.timeline ?? 0);
    const before = this.#primary;
    const found = detectPrimary(this.#view());
    const detected = this.#fence.admits(found?.lastProbe?.timeline) ? found : undefined;
    if (before !== undefined && (detected === undefined || before.lastProbe?.writable !== true)) {
      this.#suspect(before);
      return;
    }
    if (detected !== undefined && detected !== before) this.#follow(detected);
    this.#assignRoles();
    if (detected !== undefined) this.#waiters.serveAll(detected);
  }

  #follow(detected: Host): void {
    const former = this.#primary ?? this.#lastPrimary;
    const timeline = detected.lastProbe?.timeline ?? 0;
    if (former !== detected || timeline !== this.#lastTimeline) this.lag.reset();
    this.#primary = detected;
    this.#isDoubted = false;
    this.#lastPrimary = detected;
    this.#lastTimeline = timeline;
    // Statements that still run on the former primary run on an abandoned timeline.
    if (former !== undefined && former !== detected) former.pool.drain(true);
  }

  #assignRoles(): void {
    const view = { ...this.#view(), lastPrimary: this.#primary };
    for (const host of this.hosts) {
      const to = roleOf(host, view);
      const from = host.role;
      if (from === to) continue;
      host.role = to;
      if (to === 'offline' || to === 'fenced') host.pool.drain(to === 'fenced');
      const { reason } = host;
      this.#deps.events.emit('host', {
        host: host.name,
        from,
        to,
        ...(reason === undefined ? {} : { reason }),
        atMs: this.#deps.clock.now(),
      });
    }
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  #fenceFailed(action: 'load' | 'store', error: unknown): void {
    const atMs = this.#deps.clock.now();
    this.#deps.events.emit('fence-failed', { action, error: errorMessage(error), atMs });
  }

  #noWritableHost(): NoWritableHostError | CallbackFailedError {
    const errors = this.hosts.flatMap(({ error }) => (error === undefined ? [] : [error]));
    const [first] = errors;
    // No host was asked.
    if (first instanceof CallbackFailedError && errors.length === this.hosts.length) {
      if (errors.every((error) => error instanceof CallbackFailedError))
        return callbackFailure(first);
    }
    const seen = this.hosts
      .map(
        ({ name, role, reason }) => `${name} ${role}${reason === undefined ? '' : ` (${reason})`}`,
      )
      .join(', ');
    const { minHostsSeen } = this.#deps;
    const responding = this.hosts.filter(({ lastProbe }) => lastProbe !== undefined).length;
    const fewer =
      responding < minHostsSeen ? `; ${responding} answer of the ${minHostsSeen} that must` : '';
    const { obstacle } = this.#fence;
    const why = obstacle?.cause === undefined ? '' : ` (${errorMessage(obstacle.cause)})`;
    const held = obstacle === undefined ? '' : `; ${obstacle.seen}${why}, ${FENCE_ADVICE}`;
    return new NoWritableHostError(
      `no host takes writes at this time: ${seen}${fewer}${held}; nothing was sent, call again later`,
      { ...NOT_SENT, cause: obstacle?.cause ?? oneOf(errors), retryable: true },
    );
  }
}

/** The errors of several hosts as one. */
function oneOf(errors: readonly unknown[]): unknown {
  return errors.length > 1 ? new AggregateError(errors) : errors[0];
}
