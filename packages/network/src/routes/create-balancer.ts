import { InvalidOptionError, createEmitter, onAbort } from '@holdfast/foundation';
import { NetworkClosedError } from '../errors.ts';
import {
  type AddressSource,
  type Balancer,
  type BalancerEvents,
  type BalancerOptions,
  type BalancerStats,
  type FollowOptions,
  type RouteLease,
  type NodeOutcome,
  type PickOptions,
  type RouteNode,
  type RunContext,
  type RunOptions,
  balancerEventKinds,
} from './balancer.ts';
import {
  type ResolvedBalancerOptions,
  parseBalancerOptions,
  parseNodes,
  parseRunOptions,
} from './balancer-options.ts';
import { NoHealthyInstancesError } from './errors.ts';
import { followAddresses } from './follow.ts';
import { HedgeDelay } from './hedge-delay.ts';
import { NodeLease } from './node-lease.ts';
import type { BalancedNode } from './nodes/balanced-node.ts';
import { HealthChecker } from './pool/health-checker.ts';
import { NodePool } from './pool/node-pool.ts';
import { statsOf } from './nodes/node-stats.ts';
import { hashKey } from './nodes/key-hash.ts';
import type { Tier } from './picking/tier.ts';
import { RunCall } from './run-call.ts';

/**
 * Makes a balancer over nodes that can take the same calls.
 * @typeParam N the nodes: an id, and what a call needs of them
 * @throws InvalidOptionError naming the field
 */
export function createBalancer<N extends RouteNode>(options: BalancerOptions<N>): Balancer<N> {
  return new NodeBalancer<N>(parseBalancerOptions(options));
}

const NO_OPTIONS: PickOptions = {};

class NodeBalancer<N extends RouteNode> implements Balancer<N> {
  readonly name: string;
  readonly #options: ResolvedBalancerOptions<N>;
  readonly #events = createEmitter<BalancerEvents>('holdfast:network:balancer', balancerEventKinds);
  readonly on = this.#events.on;
  readonly #pool: NodePool<N>;
  readonly #checker: HealthChecker<N> | undefined;
  readonly #hedging: HedgeDelay;
  readonly #closing = new AbortController();
  /** Asking the signal costs a pick half as much as its choice. */
  #isClosed = false;
  readonly #counts = {
    picks: 0,
    panicPicks: 0,
    spilledPicks: 0,
    retries: 0,
    hedges: 0,
    inFlight: 0,
  };

  constructor(options: ResolvedBalancerOptions<N>) {
    this.#options = options;
    this.name = options.name;
    const { clock, random, healthCheck, name } = options;
    this.#hedging = new HedgeDelay(options.hedgeAfterMs);
    this.#pool = new NodePool(options, {
      onChange: (node, from, to) =>
        this.#events.emit('stateChanged', {
          balancer: name,
          node: node.id,
          from: from.kind,
          to: to.kind,
          ...(to.kind === 'ejected' && { reason: to.reason }),
          atEpochMs: clock.epochMs(),
        }),
      onPanic: (isActive) =>
        this.#events.emit('panic', { balancer: name, isActive, atEpochMs: clock.epochMs() }),
    });
    this.#pool.replace(options.nodes, clock.now());
    this.#checker =
      healthCheck && new HealthChecker(healthCheck, { pool: this.#pool, clock, random });
  }

  pick(options: PickOptions = NO_OPTIONS): RouteLease<N> {
    return this.#pick(options);
  }

  async run<T>(
    call: (node: N, context: RunContext) => T | PromiseLike<T>,
    options: RunOptions = {},
  ): Promise<T> {
    const parsed = parseRunOptions(options);
    const { key, sessionId, locality } = options;
    const route = {
      ...(key !== undefined && { key }),
      ...(sessionId !== undefined && { sessionId }),
      ...(locality !== undefined && { locality }),
    };
    const deps = {
      options: this.#options,
      hedging: this.#hedging,
      pick: (exclude: readonly string[], mayProbe: boolean) =>
        this.#pick({ ...route, exclude, mayProbe }),
      onRetry: (cause: 'failed' | 'late') => {
        if (cause === 'late') this.#counts.hedges += 1;
        else this.#counts.retries += 1;
      },
    };
    return new RunCall<N, T>(deps, call, parsed).run();
  }

  setNodes(nodes: readonly N[]): void {
    this.#throwIfClosed();
    const { clock } = this.#options;
    const parsed = parseNodes(nodes, 'nodes', 'setNodes');
    const { added, removed } = this.#pool.replace(parsed, clock.now());
    this.#checker?.nodesChanged();
    if (added.length === 0 && removed.length === 0) return;
    const ids = removed.map(({ id }) => id);
    this.#events.emit('nodesChanged', { balancer: this.name, added, removed: ids });
  }

  async follow(source: AddressSource, options: FollowOptions<N>): Promise<() => void> {
    this.#throwIfClosed();
    return followAddresses(source, options, {
      closing: this.#closing.signal,
      setNodes: (nodes) => this.setNodes(nodes),
    });
  }

  async drain(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#throwIfClosed();
    signal?.throwIfAborted();
    const node = this.#known(id, 'drain');
    this.#pool.moveByHand(node, 'drain', this.#options.clock.now());
    if (node.inFlight === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const releases = [signal, this.#closing.signal].map((ending) =>
      onAbort(ending, () => reject(ending?.reason)),
    );
    node.onIdle.add(resolve);
    try {
      await promise;
    } finally {
      node.onIdle.delete(resolve);
      for (const release of releases) release();
    }
  }

  resume(id: string): void {
    this.#throwIfClosed();
    this.#pool.moveByHand(this.#known(id, 'resume'), 'resume', this.#options.clock.now());
  }

  getStats(): BalancerStats {
    const { name, strategy, clock, latencyDecayMs } = this.#options;
    const nowMs = clock.now();
    if (!this.#isClosed) this.#pool.advance(nowMs);
    const nodes = [...this.#pool.nodes];
    return {
      name,
      strategy,
      isPanicking: this.#pool.isPanicking,
      healthyNodes: nodes.filter(({ isWell }) => isWell).length,
      ...this.#counts,
      ejections: this.#pool.ejections,
      nodes: nodes.map((node) => statsOf(node, nowMs, latencyDecayMs)),
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const reason = new NetworkClosedError(`the balancer ${this.name}`);
    this.#closing.abort(reason);
    this.#checker?.close(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Called by the leases. */
  settled(
    lease: NodeLease<N>,
    outcome: NodeOutcome | 'abandoned',
    given: number | undefined,
  ): void {
    const nowMs = this.#options.clock.now();
    const node = lease.balanced;
    const latencyMs = given ?? nowMs - lease.beganMs;
    this.#counts.inFlight -= 1;
    if (outcome === 'abandoned') this.#pool.abandoned(node, lease, nowMs, latencyMs);
    else this.#pool.settle(node, lease, nowMs, outcome, latencyMs);
    if (outcome === 'success') this.#hedging.observe(latencyMs);
    node.changeLoad(-1);
  }

  #pick(options: PickOptions): NodeLease<N> {
    this.#throwIfClosed();
    const nowMs = this.#options.clock.now();
    const pool = this.#pool;
    pool.advance(nowMs);
    const node = this.#choose(options, nowMs);
    if (node === undefined) throw new NoHealthyInstancesError(this.name, pool.size);
    const lease = new NodeLease(this, node, nowMs);
    if (!node.isActive) pool.beginProbe(node, lease, nowMs);
    node.picks += 1;
    node.changeLoad(1);
    this.#counts.picks += 1;
    this.#counts.inFlight += 1;
    if (pool.isPanicking) this.#counts.panicPicks += 1;
    return lease;
  }

  #choose(options: PickOptions, nowMs: number): BalancedNode<N> | undefined {
    const { key, sessionId, exclude, locality, mayProbe = true } = options;
    const by = sessionId ?? key;
    if (by !== undefined && typeof by !== 'string') {
      const field = sessionId === undefined ? 'key' : 'sessionId';
      throw new InvalidOptionError('pick', field, by, 'a string');
    }
    const hash = by === undefined ? undefined : hashKey(by);
    if (hash === undefined && mayProbe) {
      const probe = this.#pool.nextProbe(exclude);
      if (probe !== undefined) return probe;
    }
    const tier = this.#pool.tierFor(hash, locality);
    if (tier === undefined) return undefined;
    const node = this.#pickIn(tier, hash, options, nowMs);
    const { tiers } = this.#pool;
    if (tier !== tiers[0]) this.#counts.spilledPicks += 1;
    if (node !== undefined || tiers.length === 1) return node;
    for (const other of tiers) {
      const found = other === tier ? undefined : this.#pickIn(other, hash, options, nowMs);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #pickIn(
    tier: Tier<N>,
    hash: number | undefined,
    options: PickOptions,
    nowMs: number,
  ): BalancedNode<N> | undefined {
    if (hash === undefined) return tier.pick(nowMs, options.exclude);
    const boundedLoad = options.sessionId === undefined ? this.#options.boundedLoad : Infinity;
    return tier.pickByHash(hash, boundedLoad, options);
  }

  #known(id: string, owner: string): BalancedNode<N> {
    const node = this.#pool.get(id);
    if (node === undefined) throw new InvalidOptionError(owner, 'id', id, 'the id of a node');
    return node;
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new NetworkClosedError(`the balancer ${this.name}`);
  }
}
