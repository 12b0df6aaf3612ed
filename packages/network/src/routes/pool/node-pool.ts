import type { NodeOutcome, RouteNode } from '../balancer.ts';
import { fractionOf } from '../nodes/key-hash.ts';
import { Tier } from '../picking/tier.ts';
import { LeastConnections } from '../picking/least-connections.ts';
import { type LatencyScale, PowerOfTwo, RoundRobin } from '../picking/candidates.ts';
import type { ResolvedBalancerOptions } from '../balancer-options.ts';
import { BalancedNode } from '../nodes/balanced-node.ts';
import { type NodeMove, type NodeState, nextState } from '../nodes/node-state.ts';
import { OutlierDetector } from './outlier-detector.ts';

/** A node warms in this many steps. */
const WARM_STEPS = 10;
const SPILL = 0x2f_a6_3b_19;

interface NodePoolDeps<N> {
  readonly onChange: (node: BalancedNode<N>, from: NodeState, to: NodeState) => void;
  readonly onPanic: (isActive: boolean) => void;
}

/**
 * The nodes of a balancer and their states. Synchronous, and without a timer: what is due by time happens with the next
 * call after it.
 */
export class NodePool<N extends RouteNode> {
  readonly scale: LatencyScale;
  readonly #options: ResolvedBalancerOptions<N>;
  readonly #deps: NodePoolDeps<N>;
  readonly #outliers: OutlierDetector<N> | undefined;
  readonly #nodes = new Map<string, BalancedNode<N>>();
  #tiers: Tier<N>[] = [];
  /** Those that a call without a key may probe. */
  #awaitingProbe: BalancedNode<N>[] = [];
  #dueMs = Infinity;
  ejections = 0;
  isPanicking = false;

  constructor(options: ResolvedBalancerOptions<N>, deps: NodePoolDeps<N>) {
    this.#options = options;
    this.#deps = deps;
    this.scale = { decayMs: options.latencyDecayMs, typicalMs: 1 };
    const { outlier } = options;
    this.#outliers = outlier === false ? undefined : new OutlierDetector(outlier);
  }

  get size(): number {
    return this.#nodes.size;
  }

  get nodes(): Iterable<BalancedNode<N>> {
    return this.#nodes.values();
  }

  get tiers(): readonly Tier<N>[] {
    return this.#tiers;
  }

  get(id: string): BalancedNode<N> | undefined {
    return this.#nodes.get(id);
  }

  /** Keeps what is known of nodes that stay as they are. Returns the ids of those that came and went. */
  replace(nodes: readonly N[], nowMs: number): { added: string[]; removed: BalancedNode<N>[] } {
    const added: string[] = [];
    const wanted = new Map<string, BalancedNode<N>>();
    for (const node of nodes) {
      const known = this.#nodes.get(node.id);
      if (known === undefined) added.push(node.id);
      const kept = known ?? new BalancedNode(node, node.id, this.#windowMs);
      kept.node = node;
      kept.weight = node.weight ?? 1;
      kept.locality = node.locality;
      wanted.set(node.id, kept);
    }
    const removed = [...this.#nodes.values()].filter(({ id }) => !wanted.has(id));
    for (const node of removed) {
      node.isRemoved = true;
      node.isActive = false;
      node.tier = undefined;
    }
    this.#nodes.clear();
    for (const [id, node] of wanted) this.#nodes.set(id, node);
    this.#tiers = this.#makeTiers();
    this.#refresh(nowMs);
    return { added, removed };
  }

  /** Does what has become due. */
  advance(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    for (const node of this.#nodes.values()) {
      const { state } = node;
      if (state.kind === 'ejected' && nowMs >= state.untilMs)
        this.#move(node, { kind: 'due' }, nowMs);
      else if (node.probe !== undefined && nowMs >= node.probeUntilMs) this.#relapse(node, nowMs);
      else if (state.kind === 'warming' && nowMs >= state.sinceMs + this.#options.slowStartMs) {
        this.#move(node, { kind: 'warmed' }, nowMs);
      }
    }
    for (const { node, reason } of this.#outliers?.slowNodes(this.#nodes.values(), nowMs) ?? []) {
      this.#eject(node, reason, nowMs);
    }
    this.#refresh(nowMs);
  }

  /** The ejected node whose turn it is to be tried. */
  nextProbe(exclude: readonly string[] | undefined): BalancedNode<N> | undefined {
    if (this.#awaitingProbe.length === 0) return undefined;
    return this.#awaitingProbe.find(
      (node) => node.awaitsProbe && exclude?.includes(node.id) !== true,
    );
  }

  beginProbe(node: BalancedNode<N>, lease: object, nowMs: number): void {
    node.probe = lease;
    node.probeUntilMs = nowMs + this.#probeTimeoutMs;
    this.#dueMs = Math.min(this.#dueMs, node.probeUntilMs);
  }

  /** @param hash of the call's key; without one the localities share calls at random */
  tierFor(hash: number | undefined, locality: string | undefined): Tier<N> | undefined {
    if (this.#tiers.length <= 1) return this.#tiers[0];
    const order =
      locality === undefined
        ? this.#tiers
        : this.#tiers.toSorted((left, right) => rank(left, locality) - rank(right, locality));
    const fraction = hash === undefined ? this.#options.random() : fractionOf(hash, SPILL);
    const total = order.reduce((sum, { capacity }) => sum + capacity, 0);
    // With no node that answers, all nodes are equal.
    const partOf = (tier: Tier<N>): number =>
      total === 0 ? tier.members.length / this.#nodes.size : tier.capacity;
    let left = fraction * (total === 0 ? 1 : Math.min(1, total));
    for (const tier of order) {
      const part = partOf(tier);
      if (left < part) return tier;
      left -= part;
    }
    return order.find(({ members }) => members.length > 0);
  }

  /** An answer to a call from before the ejection proves nothing. */
  settle(
    node: BalancedNode<N>,
    lease: { readonly beganMs: number },
    nowMs: number,
    outcome: NodeOutcome,
    latencyMs: number,
  ): void {
    const since = lease.beganMs;
    const isProbe = node.probe === lease;
    if (isProbe) node.probe = undefined;
    if (node.isRemoved || outcome === 'neutral') return;
    // A call from before the node came back says nothing about it now.
    if (outcome === 'failure' && node.state.kind === 'warming' && since < node.sinceMs) return;
    node.window.record(nowMs, outcome === 'failure');
    if (outcome === 'success') {
      node.successes += 1;
      node.consecutiveFailures = 0;
      node.window.recordLatency(nowMs, latencyMs);
      node.observeLatency(nowMs, latencyMs, this.scale.decayMs);
      this.scale.typicalMs += (latencyMs - this.scale.typicalMs) * 0.02;
      if (node.state.kind !== 'healthy' && since >= node.sinceMs) this.answered(node, nowMs);
    } else {
      node.failures += 1;
      node.consecutiveFailures += 1;
      node.observeFailure(nowMs, latencyMs, this.scale.typicalMs);
      if (isProbe) this.#relapse(node, nowMs);
      else this.#failed(node, nowMs);
    }
    this.#scheduleSweep(nowMs);
  }

  /**
   * Another node has answered a call first, and this one was given up. It was at least so slow, and may be silent: only its
   * next answer says that it is not.
   */
  abandoned(node: BalancedNode<N>, lease: object, nowMs: number, waitedMs: number): void {
    if (node.probe === lease) this.#relapse(node, nowMs);
    if (node.isRemoved || waitedMs <= this.scale.typicalMs) return;
    node.consecutiveFailures += 1;
    node.window.recordLatency(nowMs, waitedMs);
    node.observeFailure(nowMs, waitedMs, this.scale.typicalMs);
    this.#failed(node, nowMs);
    this.#scheduleSweep(nowMs);
  }

  /** A call or a check was answered. */
  answered(node: BalancedNode<N>, nowMs: number): void {
    const wasAway = node.state.kind === 'ejected' || node.state.kind === 'probing';
    this.#move(node, { kind: 'answer', nowMs }, nowMs);
    if (!wasAway) return;
    node.probe = undefined;
    node.consecutiveFailures = 0;
    node.window.clear();
    node.forgetLatency();
    this.#refresh(nowMs);
  }

  /** The health check has failed often enough. */
  checkFailed(node: BalancedNode<N>, nowMs: number): void {
    if (node.state.kind === 'ejected' || node.isRemoved) return;
    this.#eject(node, 'health-check', nowMs);
    this.#refresh(nowMs);
  }

  moveByHand(node: BalancedNode<N>, kind: 'drain' | 'resume', nowMs: number): void {
    this.#move(node, { kind, nowMs }, nowMs);
    if (kind === 'resume') node.forgetLatency();
    this.#refresh(nowMs);
  }

  get #windowMs(): number {
    const { outlier } = this.#options;
    return outlier === false ? 5_000 : outlier.windowMs;
  }

  get #probeTimeoutMs(): number {
    const { outlier } = this.#options;
    return outlier === false ? 10_000 : outlier.probeTimeoutMs;
  }

  #failed(node: BalancedNode<N>, nowMs: number): void {
    this.#move(node, { kind: 'failure' }, nowMs);
    if (!node.isUsable) return;
    const reason = this.#outliers?.reasonToEject(node, nowMs);
    if (reason === undefined) return;
    this.#eject(node, reason, nowMs);
    this.#refresh(nowMs);
  }

  #eject(
    node: BalancedNode<N>,
    reason: NonNullable<ReturnType<OutlierDetector<N>['reasonToEject']>>,
    nowMs: number,
  ): void {
    if (node.isUsable && !this.#hasOther(node)) {
      this.#move(node, { kind: 'keep' }, nowMs);
      return;
    }
    this.ejections += 1;
    node.ejections += 1;
    this.#move(
      node,
      { kind: 'eject', reason, untilMs: nowMs + this.#nextEjectionMs(node, nowMs) },
      nowMs,
    );
  }

  /** A node that is away failed again. */
  #relapse(node: BalancedNode<N>, nowMs: number): void {
    node.probe = undefined;
    if (node.state.kind !== 'probing') return;
    this.#move(
      node,
      { kind: 'eject', reason: 'probe', untilMs: nowMs + this.#nextEjectionMs(node, nowMs) },
      nowMs,
    );
    this.#refresh(nowMs);
  }

  /** Twice as long as the last time, unless that is long past. */
  #nextEjectionMs(node: BalancedNode<N>, nowMs: number): number {
    const { outlier, random, slowStartMs } = this.#options;
    const { ejectionMs, maxEjectionMs } =
      outlier === false ? { ejectionMs: 5_000, maxEjectionMs: 60_000 } : outlier;
    const isLongPast =
      node.state.kind === 'healthy' || node.state.kind === 'suspect'
        ? nowMs - node.sinceMs > maxEjectionMs + slowStartMs || node.relapses === 0
        : false;
    node.relapses = isLongPast ? 1 : node.relapses + 1;
    const jitter = 0.8 + 0.4 * random();
    return jitter * Math.min(maxEjectionMs, ejectionMs * 2 ** Math.min(20, node.relapses - 1));
  }

  #hasOther(node: BalancedNode<N>): boolean {
    for (const other of this.#nodes.values()) if (other !== node && other.isUsable) return true;
    return false;
  }

  #move(node: BalancedNode<N>, move: NodeMove, nowMs: number): void {
    const from = node.state;
    const to = nextState(from, move);
    if (to === from) return;
    node.state = to;
    if (from.kind === to.kind && to.kind !== 'ejected') return;
    node.sinceMs = nowMs;
    this.#deps.onChange(node, from, to);
    // A kept node is ill for the panic rule, until it answers.
    if (from.kind === 'suspect' && from.isKept) this.#refresh(nowMs);
  }

  #makeTiers(): Tier<N>[] {
    const { localities, strategy, random } = this.#options;
    const byRank = new Map<number, BalancedNode<N>[]>();
    for (const node of this.#nodes.values()) {
      const at = node.locality === undefined ? -1 : localities.indexOf(node.locality);
      const place = at === -1 ? localities.length : at;
      byRank.set(place, [...(byRank.get(place) ?? []), node]);
    }
    return [...byRank]
      .toSorted(([left], [right]) => left - right)
      .map(([place, members]) => {
        const picker =
          strategy === 'least-connections'
            ? new LeastConnections<N>(random)
            : strategy === 'round-robin'
              ? new RoundRobin<N>()
              : new PowerOfTwo<N>(random, this.scale);
        const tier = new Tier(localities[place], members, picker);
        for (const member of members) member.tier = tier;
        return tier;
      });
  }

  /** After a change of states: who is active, who warms, what is due next. */
  #refresh(nowMs: number): void {
    const { slowStartMs, spillShare, panicShare, healthCheck } = this.#options;
    let dueMs = Infinity;
    this.#awaitingProbe = [];
    for (const node of this.#nodes.values()) {
      const { state } = node;
      node.warmth = 1;
      if (state.kind === 'ejected') dueMs = Math.min(dueMs, state.untilMs);
      if (state.kind === 'probing') {
        if (healthCheck === undefined) this.#awaitingProbe.push(node);
        if (node.probe !== undefined) dueMs = Math.min(dueMs, node.probeUntilMs);
      }
      if (state.kind === 'warming' && slowStartMs > 0) {
        const steps = Math.floor(((nowMs - state.sinceMs) * WARM_STEPS) / slowStartMs);
        node.warmth = Math.min(1, (steps + 1) / WARM_STEPS);
        dueMs = Math.min(dueMs, state.sinceMs + ((steps + 1) * slowStartMs) / WARM_STEPS);
      } else if (state.kind === 'warming') dueMs = nowMs;
    }
    this.#dueMs = Math.min(dueMs, this.#outliers?.nextSweepMs ?? Infinity);
    for (const tier of this.#tiers) tier.measure(spillShare);
    const canSpill = this.#tiers.reduce((sum, { capacity }) => sum + capacity, 0) >= 1;
    for (const tier of this.#tiers) tier.activate(panicShare, canSpill);
    const isPanicking = this.#tiers.some((tier) => tier.isPanicking);
    if (isPanicking === this.isPanicking) return;
    this.isPanicking = isPanicking;
    this.#deps.onPanic(isPanicking);
  }

  #scheduleSweep(nowMs: number): void {
    const sweepMs = this.#outliers?.scheduleSweep(nowMs);
    if (sweepMs !== undefined && sweepMs < this.#dueMs) this.#dueMs = sweepMs;
  }
}

function rank<N>(tier: Tier<N>, locality: string): number {
  return tier.locality === locality ? 0 : 1;
}
