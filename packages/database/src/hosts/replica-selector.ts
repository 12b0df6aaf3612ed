import { type Clock, type CallDeadline, sleep } from '@holdfast/foundation';
import type { Freshness } from '../reads/consistency.ts';
import type { Cluster } from './cluster.ts';
import type { Host } from './host.ts';
import { nearest } from './latency-tracker.ts';
import { hasReached } from './lag-estimator.ts';

export interface ReplicaChoiceOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** How long a read waits for a standby to catch up. */
  readonly replicaWaitMs: number;
}

/** A standby that has not caught up yet is asked again after that long. */
const ASK_AGAIN_MS = 2;

/** Which host a read goes to: the nearest standby that is fresh enough, else the primary. */
export class ReplicaChoice {
  readonly #options: ReplicaChoiceOptions;
  #inUse: Host | undefined;

  constructor(options: ReplicaChoiceOptions) {
    this.#options = options;
  }

  /**
   * @param pinned the key of the one standby that will do.
   * @throws NoWritableHostError when it has to be the primary and there is none, or the signal's reason.
   */
  async choose(freshness: Freshness, limit: CallDeadline, pinned?: string): Promise<Host> {
    const { cluster } = this.#options;
    if (freshness.is !== 'strong') {
      const standby =
        this.#fresh(freshness, pinned) ?? (await this.#caughtUp(freshness, limit, pinned));
      if (standby !== undefined) return standby;
    }
    return cluster.primary ?? cluster.primaryWithin(limit);
  }

  #standbys(pinned: string | undefined): Host[] {
    const nowMs = this.#options.clock.now();
    return this.#options.cluster.hosts.filter(
      ({ role, nearness, key }) =>
        role === 'standby' && !nearness.isEjected(nowMs) && (pinned ?? key) === key,
    );
  }

  #fresh(freshness: Freshness, pinned: string | undefined): Host | undefined {
    const fresh = this.#standbys(pinned).filter((host) => this.#isFresh(host, freshness));
    const chosen = nearest(fresh, this.#inUse);
    if (chosen !== undefined) this.#inUse = chosen;
    return chosen;
  }

  #isFresh({ floor }: Host, freshness: Freshness): boolean {
    if (freshness.is === 'any') return true;
    if (freshness.is === 'after') return hasReached(floor, freshness.token, freshness.position);
    if (freshness.is === 'strong' || floor === undefined) return false;
    const { progress, primary } = this.#options.cluster;
    const timeline = primary?.sighting?.timeline;
    const lagMs = progress.lagMs(floor.position, this.#options.clock.now());
    return timeline === floor.timeline && lagMs <= freshness.maxLagMs;
  }

  /** Asks the standbys how far they are until one is there, for as long as a read may be kept waiting. */
  async #caughtUp(
    freshness: Freshness,
    limit: CallDeadline,
    pinned: string | undefined,
  ): Promise<Host | undefined> {
    const { clock, replicaWaitMs } = this.#options;
    if (freshness.is !== 'after') return undefined;
    const { timeline } = freshness.token;
    const endsAtMs = clock.now() + Math.min(replicaWaitMs, limit.remainingMs());
    while (true) {
      // One on another history, or a place that nobody knows, will not be reached by waiting.
      const hopeful = this.#standbys(pinned).filter(
        ({ floor }) => timeline > 0 && (floor === undefined || floor.timeline >= timeline),
      );
      const remainingMs = endsAtMs - clock.now();
      if (hopeful.length === 0 || remainingMs <= 0 || limit.cancellation !== undefined)
        return undefined;
      await this.#anyAnswer(hopeful, remainingMs);
      const fresh = this.#fresh(freshness, pinned);
      if (fresh !== undefined) return fresh;
      await sleep(clock, Math.min(ASK_AGAIN_MS, Math.max(0, endsAtMs - clock.now())));
    }
  }

  /** Waits for the first to answer, and no longer than that. */
  async #anyAnswer(hosts: readonly Host[], timeoutMs: number): Promise<void> {
    const { cluster, clock } = this.#options;
    const answered = new AbortController();
    const tooLate = sleep(clock, timeoutMs, answered.signal).catch(() => undefined);
    await Promise.race([tooLate, ...hosts.map(async (host) => cluster.ask(host))]);
    answered.abort();
  }
}
