import type { Emitter, Clock, CallDeadline, Timer } from '@holdfast/foundation';
import type { Route } from './host-router.ts';
import type { DatabaseHealth } from '../database.ts';
import { NoWritableHostError } from '../errors.ts';
import type { DatabaseEvents } from '../events.ts';
import { inWords } from '../connection/sql-state.ts';
import { HostLeft } from '../pool/host-pool.ts';
import { databaseClosed } from '../pool/pool-errors.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import { type Electorate, elect, roleOf } from './primary-detection.ts';
import { Fence, type TimelineFence } from './timeline-fence.ts';
import type { Host } from './host.ts';
import { PrimaryAwaited } from './primary-waiters.ts';
import { Progress } from './lag-estimator.ts';

export interface ClusterOptions {
  readonly hosts: readonly Host[];
  readonly events: Emitter<DatabaseEvents>;
  readonly clock: Clock;
  readonly probeIntervalMs: number;
  readonly acquireTimeoutMs: number;
  readonly maxWaiting: number;
  readonly minHostsSeen: number;
  readonly keeper: TimelineFence | undefined;
  readonly fenceTimeoutMs: number;
}

/** While it is in doubt who takes writes, those who answer are asked this often, and those who do not. */
const DOUBT_INTERVAL_MS = 50;
const KNOCK_INTERVAL_MS = 200;

/**
 * Several hosts, of which one takes writes. Each is asked for its role and progress from the first call on; a
 * lost link or a refused write puts the primary in doubt, and nobody writes before it is clear again.
 */
export class Cluster implements Route {
  readonly hosts: readonly Host[];
  readonly progress: Progress = new Progress();
  readonly #options: ClusterOptions;
  readonly #awaited: PrimaryAwaited;
  readonly #timers = new Map<Host, Timer>();
  readonly #stopListening: () => void;
  #primary: Host | undefined;
  #last: Host | undefined;
  #doubtSinceMs = -Infinity;
  /** The timeline of the primary followed last. */
  #followed = 0;
  readonly #fence: Fence;
  #state: 'new' | 'watching' | 'ended' = 'new';

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.hosts = options.hosts;
    const { clock, maxWaiting, keeper, fenceTimeoutMs } = options;
    this.#fence = new Fence({
      keeper,
      clock,
      timeoutMs: fenceTimeoutMs,
      onProgress: () => this.#judge(),
      onFailure: (action, error) => this.#fenceFailed(action, error),
    });
    this.#awaited = new PrimaryAwaited(clock, maxWaiting, () => this.#noWritableHost());
    this.#stopListening = options.events.on('lost', ({ host }) => this.#lostLink(host));
  }

  get primary(): Host | undefined {
    this.#begin();
    return this.#primary;
  }

  writable(
    limit: CallDeadline,
    timeoutMs: number = this.#options.acquireTimeoutMs,
  ): Slot | Promise<Slot> {
    this.#begin();
    return this.#writable(limit, this.#options.clock.now() + timeoutMs);
  }

  notWritable(name: string): boolean {
    const host = this.#primary;
    if (host?.name === name) this.#doubt(host);
    return true;
  }

  /** The host that takes writes, waiting until there is one. @throws NoWritableHostError */
  async primaryWithin(limit: CallDeadline): Promise<Host> {
    this.#begin();
    return this.#primary ?? this.#awaited.wait(limit, this.#options.acquireTimeoutMs);
  }

  /** Asks one host now; what it says counts for the whole. */
  async ask(host: Host, notBeforeMs?: number): Promise<void> {
    if (this.#state === 'ended') return;
    const answer = await host.ask(this.#options.clock, notBeforeMs);
    if (this.#isEnded()) return;
    if (answer?.writable === true && host === this.#primary && answer.position !== undefined) {
      this.progress.note(answer.askedMs, answer.position);
    }
    this.#judge();
  }

  health(): DatabaseHealth {
    const nowMs = this.#options.clock.now();
    const hosts = this.hosts.map((host) => {
      const { floor, role } = host;
      const lagMs =
        role === 'standby' && floor !== undefined
          ? this.progress.lagMs(floor.position, nowMs)
          : Infinity;
      return host.health(lagMs === Infinity ? undefined : lagMs);
    });
    const isWhole = this.hosts.every(({ role }) => role === 'primary' || role === 'standby');
    const level = this.#primary === undefined ? 'critical' : isWhole ? 'healthy' : 'degraded';
    return { level, primary: this.#primary?.name, hosts };
  }

  end(): void {
    this.#state = 'ended';
    this.#stopListening();
    for (const timer of this.#timers.values()) timer.cancel();
    for (const host of this.hosts) host.probe.end();
    this.#fence.end();
    this.#awaited.refuse(databaseClosed());
  }

  async #writable(limit: CallDeadline, endsAtMs: number): Promise<Slot> {
    while (true) {
      const remainingMs = Math.max(1, endsAtMs - this.#options.clock.now());
      const host = this.#primary ?? (await this.#awaited.wait(limit, remainingMs));
      try {
        return await host.pool.acquire(limit, remainingMs);
      } catch (error) {
        if (!(error instanceof HostLeft)) throw error;
      }
    }
  }

  #begin(): void {
    if (this.#state === 'ended') throw databaseClosed();
    if (this.#state === 'watching') return;
    this.#state = 'watching';
    this.#doubtSinceMs = this.#options.clock.now();
    this.#fence.begin();
    for (const host of this.hosts) void this.#watch(host);
  }

  /** Asks a host again and again, sooner while there is doubt. */
  async #watch(host: Host, notBeforeMs?: number): Promise<void> {
    this.#timers.get(host)?.cancel();
    this.#timers.delete(host);
    await this.ask(host, notBeforeMs);
    if (this.#isEnded() || this.#timers.has(host)) return;
    const again = (): void => void this.#watch(host);
    // Callers who wait for a primary have timers of their own that hold the process.
    const timer = this.#options.clock.schedule(this.#intervalOf(host), again, {
      holdsProcess: false,
    });
    this.#timers.set(host, timer);
  }

  #intervalOf(host: Host): number {
    const { probeIntervalMs } = this.#options;
    if (this.#primary !== undefined) return probeIntervalMs;
    const wantedMs = host.sighting === undefined ? KNOCK_INTERVAL_MS : DOUBT_INTERVAL_MS;
    return Math.min(probeIntervalMs, wantedMs);
  }

  #lostLink(name: string): void {
    if (this.#state !== 'watching') return;
    const host = this.hosts.find((each) => each.name === name);
    if (host === undefined) return;
    host.floor = undefined;
    host.restarts += 1;
    if (host === this.#primary) this.#doubt(host);
    else void this.#watch(host, this.#options.clock.now());
  }

  #doubt(host: Host): void {
    const nowMs = this.#options.clock.now();
    this.#primary = undefined;
    this.#last = host;
    this.#doubtSinceMs = nowMs;
    host.pool.leave(false);
    this.#assignRoles();
    for (const each of this.hosts) void this.#watch(each, nowMs);
  }

  #electorate(): Electorate<Host> {
    return {
      hosts: this.hosts,
      last: this.#primary ?? this.#last,
      doubtSinceMs: this.#doubtSinceMs,
      timeline: this.#fence.timeline,
      followed: this.#followed,
      minHostsSeen: this.#options.minHostsSeen,
    };
  }

  #judge(): void {
    for (const { sighting } of this.hosts) this.#fence.raise(sighting?.timeline ?? 0);
    const before = this.#primary;
    const found = elect(this.#electorate());
    const elected = this.#fence.admits(found?.sighting?.timeline ?? 0) ? found : undefined;
    if (before !== undefined && (elected === undefined || before.sighting?.writable !== true)) {
      this.#doubt(before);
      return;
    }
    if (elected !== undefined && elected !== before) this.#follow(elected);
    this.#assignRoles();
    if (elected !== undefined) this.#awaited.serve(elected);
  }

  #follow(elected: Host): void {
    const former = this.#primary ?? this.#last;
    const timeline = elected.sighting?.timeline ?? 0;
    if (former !== elected || timeline !== this.#followed) this.progress.forget();
    this.#primary = elected;
    this.#last = elected;
    this.#followed = timeline;
    // Whatever still runs there runs on a history that nobody will see.
    if (former !== undefined && former !== elected) former.pool.leave(true);
  }

  #assignRoles(): void {
    const electorate = { ...this.#electorate(), last: this.#primary };
    for (const host of this.hosts) {
      const to = roleOf(host, electorate);
      const from = host.role;
      if (from === to) continue;
      host.role = to;
      if (to === 'offline' || to === 'fenced') host.pool.leave(to === 'fenced');
      const { reason } = host;
      this.#options.events.emit('host', {
        host: host.name,
        from,
        to,
        ...(reason === undefined ? {} : { reason }),
        atMs: this.#options.clock.now(),
      });
    }
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  #fenceFailed(action: 'load' | 'store', error: unknown): void {
    const atMs = this.#options.clock.now();
    this.#options.events.emit('fence-failed', { action, error: inWords(error), atMs });
  }

  #noWritableHost(): NoWritableHostError {
    const seen = this.hosts
      .map(
        ({ name, role, reason }) => `${name} ${role}${reason === undefined ? '' : ` (${reason})`}`,
      )
      .join(', ');
    const { minHostsSeen } = this.#options;
    const answering = this.hosts.filter(({ sighting }) => sighting !== undefined).length;
    const fewer =
      answering < minHostsSeen ? `; ${answering} answer of the ${minHostsSeen} that must` : '';
    const unread = this.#fence.isRead ? '' : '; the fence could not be read yet';
    return new NoWritableHostError(
      `no host takes writes at this time: ${seen}${fewer}${unread}; nothing was sent, call again later`,
      { phase: 'not-sent', outcome: 'not-applied', retryable: true },
    );
  }
}
