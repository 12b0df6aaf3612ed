import { type CallDeadline, type Clock, sleep } from '@holdfast/foundation';
import type { Freshness } from '../consistency.ts';
import type { Cluster } from './cluster.ts';
import { type ReadHost, type ReadHostSelector, primaryFor } from './host-router.ts';
import type { Host } from './host.ts';
import type { LinkRequirement } from '../pool/link-state.ts';
import { formatLsn, hasReplayed, isUnknown } from '../lsn.ts';
import { lowestLatency } from './latency-tracker.ts';

interface ReplicaSelectorDeps {
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** How long a read waits for a standby to catch up. */
  readonly replicaWaitMs: number;
}

/** The pause before a standby that has not caught up is probed again. */
const PROBE_AGAIN_MS = 2;

/** Selects the host of a read: the nearest standby that is fresh enough, else the primary. */
export class ReplicaSelector implements ReadHostSelector {
  readonly #deps: ReplicaSelectorDeps;
  #inUse: Host | undefined;

  constructor(deps: ReplicaSelectorDeps) {
    this.#deps = deps;
  }

  async selectHost(
    freshness: Freshness,
    deadline: CallDeadline,
    pinned: string | undefined,
  ): Promise<ReadHost> {
    const { cluster, clock, replicaWaitMs } = this.#deps;
    const host = await this.#select(freshness, deadline, pinned);
    const isPrimary = host === cluster.primary;
    return {
      name: host.name,
      key: host.key,
      role: isPrimary ? 'primary' : 'standby',
      requirement: isPrimary ? primaryFor(freshness) : this.#standbyFor(freshness),
      waitMs: isPrimary ? 0 : replicaWaitMs,
      acquire: isPrimary
        ? (call) => cluster.acquirePrimary(call)
        : (call) => host.acquireForRead(call),
      served: () => host.latency.served(),
      failed: () => host.latency.failed(clock.now()),
    };
  }

  async #select(
    freshness: Freshness,
    deadline: CallDeadline,
    pinned: string | undefined,
  ): Promise<Host> {
    const { cluster } = this.#deps;
    if (freshness.kind !== 'strong') {
      const standby =
        this.#freshStandby(freshness, pinned) ??
        (await this.#waitForReplay(freshness, deadline, pinned));
      if (standby !== undefined) return standby;
    }
    return cluster.primary ?? cluster.primaryWithin(deadline);
  }

  /** What was learned of the host by its probe need not hold for a connection of its pool. */
  #standbyFor(freshness: Freshness): LinkRequirement {
    if (freshness.kind === 'any') return { kind: 'none' };
    if (freshness.kind === 'after' && freshness.position !== undefined) {
      const { token, position, seen } = freshness;
      return { kind: 'replayed', token, position, seen };
    }
    const { lag, primary } = this.#deps.cluster;
    const timeline = primary?.lastProbe?.timeline ?? 0;
    const position =
      freshness.kind === 'recent'
        ? lag.positionWithin(freshness.maxLagMs, this.#deps.clock.now())
        : undefined;
    if (position === undefined) return { kind: 'primary', timeline };
    return { kind: 'replayed', token: { timeline, lsn: formatLsn(position) }, position };
  }

  #standbys(pinned: string | undefined): Host[] {
    const nowMs = this.#deps.clock.now();
    return this.#deps.cluster.hosts.filter(
      ({ role, latency, key }) =>
        role === 'standby' && !latency.isEjected(nowMs) && (pinned ?? key) === key,
    );
  }

  #freshStandby(freshness: Freshness, pinned: string | undefined): Host | undefined {
    const fresh = this.#standbys(pinned).filter((host) => this.#isFresh(host, freshness));
    const selected = lowestLatency(fresh, this.#inUse);
    if (selected !== undefined) this.#inUse = selected;
    return selected;
  }

  #isFresh({ replayed }: Host, freshness: Freshness): boolean {
    if (freshness.kind === 'any') return true;
    if (freshness.kind === 'after') {
      return hasReplayed(replayed, freshness.token, freshness.position);
    }
    if (freshness.kind === 'strong' || replayed === undefined) return false;
    const { lag, primary } = this.#deps.cluster;
    const timeline = primary?.lastProbe?.timeline;
    const lagMs = lag.lagMs(replayed.position, this.#deps.clock.now());
    return timeline === replayed.timeline && lagMs <= freshness.maxLagMs;
  }

  /** Probes the standbys until one has replayed the token, for at most `replicaWaitMs`. */
  async #waitForReplay(
    freshness: Freshness,
    deadline: CallDeadline,
    pinned: string | undefined,
  ): Promise<Host | undefined> {
    const { clock, replicaWaitMs } = this.#deps;
    // An unknown position will not be reached by waiting, and neither will any on a standby on another timeline.
    if (freshness.kind !== 'after' || isUnknown(freshness.token)) return undefined;
    const { timeline } = freshness.token;
    const endsAtMs = clock.now() + Math.min(replicaWaitMs, deadline.remainingMs());
    while (true) {
      const candidates = this.#standbys(pinned).filter(({ replayed, refusal }) =>
        replayed === undefined ? refusal === undefined : replayed.timeline === timeline,
      );
      const remainingMs = endsAtMs - clock.now();
      const isOver = remainingMs <= 0 || deadline.cancellation !== undefined;
      if (candidates.length === 0 || isOver) return undefined;
      await this.#probeAny(candidates, remainingMs);
      const fresh = this.#freshStandby(freshness, pinned);
      if (fresh !== undefined) return fresh;
      await sleep(clock, Math.min(PROBE_AGAIN_MS, Math.max(0, endsAtMs - clock.now())));
    }
  }

  /** Probes all hosts and waits for the first result. */
  async #probeAny(hosts: readonly Host[], timeoutMs: number): Promise<void> {
    const { cluster, clock } = this.#deps;
    const finished = new AbortController();
    const timeout = sleep(clock, timeoutMs, finished.signal).catch(() => undefined);
    await Promise.race([timeout, ...hosts.map(async (host) => cluster.probe(host))]);
    finished.abort();
  }
}
