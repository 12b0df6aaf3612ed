import type { CallDeadline, Clock, Timer } from '@holdfast/foundation';
import type { Freshness } from '../consistency.ts';
import type { DatabaseHealth } from '../database.ts';
import type { HostRole } from '../events.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { Host } from './host.ts';
import {
  type HostRouter,
  type ReadHost,
  type ReadHostSelector,
  type ReportedConnection,
  requirementOf,
} from './host-router.ts';

interface SingleHostDeps {
  readonly host: Host;
  readonly clock: Clock;
  /** After how much silence the host is probed, once `health` was asked. */
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
}

/** What is known of the host, by its connections and its probe. */
interface Evidence {
  readonly seenMs: number;
  /** It was not reached since it was last seen. */
  readonly hasFailed: boolean;
  /** It could not be asked since it was last seen, because a function of the caller failed. */
  readonly isUnasked: boolean;
  /** Its last connection was lost since, and nothing else is known. */
  readonly isDoubted: boolean;
  /** Anything speaks against it, so that it is to be probed. */
  readonly isSuspect: boolean;
}

/** For so long a new connection that leads to a standby is believed: the name has not moved yet. */
const MOVED_AGAIN_MS = 1_000;

/**
 * The only host serves all calls. Its name may lead to several servers, or to another one later, so each connection is
 * judged by itself.
 */
export class SingleHost implements HostRouter, ReadHostSelector {
  readonly #deps: SingleHostDeps;
  #renewedMs = -Infinity;
  #ended = false;
  /** The next look at the evidence; `undefined` until `health` is asked. */
  #timer: Timer | undefined;

  constructor(deps: SingleHostDeps) {
    this.#deps = deps;
  }

  acquirePrimary(
    deadline: CallDeadline,
    timeoutMs?: number,
  ): PooledConnection | Promise<PooledConnection> {
    return this.#deps.host.pool.acquire(deadline, timeoutMs);
  }

  /**
   * After a rejected write opens new connections, which resolve the name anew; at most once a second, because it may
   * go on leading to a standby. Of a name for a primary and standbys, a read gives up its own connection only.
   */
  reportReadOnly({ createdAtMs }: ReportedConnection, by: 'write' | 'read'): boolean {
    if (by === 'read') return false;
    const nowMs = this.#deps.clock.now();
    if (createdAtMs <= this.#renewedMs) return true;
    if (nowMs - this.#renewedMs < MOVED_AGAIN_MS) return false;
    this.#renewedMs = nowMs;
    const { host, clock } = this.#deps;
    host.pool.renew();
    host.probe.renew();
    // Replies, and the refusal is one, tell that the host is there, and nothing of writes.
    if (this.#timer !== undefined && !this.#ended) void host.runProbe(clock, nowMs);
    return true;
  }

  async selectHost(freshness: Freshness): Promise<ReadHost> {
    const { name, pool } = this.#deps.host;
    return {
      name,
      key: name,
      role: 'primary',
      requirement: requirementOf(freshness),
      waitMs: Infinity,
      acquire: (deadline) => pool.acquire(deadline),
      served: () => undefined,
      failed: () => undefined,
    };
  }

  health(): DatabaseHealth {
    const { host } = this.#deps;
    this.#watch(false);
    if (this.#timer === undefined) this.#watchAgain();
    const role = this.#role();
    return {
      level: role === 'primary' ? 'healthy' : this.#isDoubted() ? 'degraded' : 'critical',
      primary: role === 'primary' ? host.name : undefined,
      hosts: [{ ...host.health(undefined), role }],
    };
  }

  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#deps.host.probe.end();
  }

  /** When the host was last seen, when it failed, and when its last connection was lost. */
  #evidence(): Evidence {
    const { host } = this.#deps;
    const { repliedMs, servedMs, deniedMs, lostMs, failedMs, unaskedMs, hasConnections } =
      host.pool.evidence;
    const hasProbe = (host.lastProbe !== undefined && !host.isShut) || host.isOnlyFull;
    const foundMs = hasProbe ? host.probedMs : -Infinity;
    const isUnprobed = host.lastProbe === undefined && !host.isOnlyFull;
    const unprobedMs = isUnprobed ? host.probedMs : -Infinity;
    const isAfter = (atMs: number, thenMs: number): boolean =>
      // Of two things in one millisecond, that which has left a connection came last.
      atMs > thenMs || (atMs === thenMs && !hasConnections);
    const answeredMs = Math.max(servedMs, foundMs);
    // Where a connection was accepted and then nothing answered, as by a pooler, to be accepted is no evidence.
    const denialMs = Math.max(deniedMs, host.probe.deniedMs);
    const isDenied = denialMs > -Infinity && isAfter(denialMs, answeredMs);
    const seenMs = isDenied ? answeredMs : Math.max(repliedMs, foundMs);
    const isSince = (atMs: number): boolean => isAfter(atMs, seenMs);
    return {
      seenMs,
      hasFailed: isSince(Math.max(unprobedMs, hasConnections ? -Infinity : failedMs)),
      isUnasked: !hasConnections && Math.max(unaskedMs, host.unaskedMs) > seenMs,
      isDoubted: (isDenied || !hasConnections) && isSince(lostMs),
      isSuspect: Math.max(unprobedMs, lostMs, failedMs) >= seenMs,
    };
  }

  /** Its last connection was lost, which need not be an outage: the probe under way tells. */
  #isDoubted(): boolean {
    const { hasFailed, isUnasked, isDoubted } = this.#evidence();
    return isDoubted && !hasFailed && !isUnasked;
  }

  /**
   * Probes the host at once if anything speaks against it, or `isDue`. Calls tell that it is there, but whether it
   * accepts writes only the probe does.
   */
  #watch(isDue: boolean): void {
    if (this.#ended) return;
    const { host, clock, probeIntervalMs } = this.#deps;
    const { seenMs, isSuspect } = this.#evidence();
    if (!isDue && !isSuspect && clock.now() - seenMs < probeIntervalMs) return;
    if (host.prepareProbe(probeIntervalMs)) void host.runProbe(clock);
  }

  #watchAgain(): void {
    const { clock, probeIntervalMs } = this.#deps;
    const again = (): void => {
      this.#watch(true);
      this.#watchAgain();
    };
    if (!this.#ended) this.#timer = clock.schedule(probeIntervalMs, again, { holdsProcess: false });
  }

  /** By the latest evidence: a reply, the loss of the last connection, a failed attempt, a probe. */
  #role(): HostRole {
    const { host, clock, probeIntervalMs, probeTimeoutMs } = this.#deps;
    const { seenMs, hasFailed, isUnasked, isDoubted } = this.#evidence();
    if (isUnasked) return 'unknown';
    if (hasFailed) {
      const reason = host.reason ?? host.pool.snapshot().connectError;
      return reason === undefined ? 'unknown' : 'offline';
    }
    if (isDoubted) return 'unknown';
    // With probes under way a reply is never older, unless nobody has asked for long, or the process stood still.
    const oldestMs = Math.max(probeIntervalMs, probeTimeoutMs) + probeTimeoutMs;
    if (clock.now() - seenMs > oldestMs) return 'unknown';
    return host.lastProbe?.writable === false ? 'standby' : 'primary';
  }
}
