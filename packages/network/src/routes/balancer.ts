import type { Clock, Random, Subscribe, EventKinds } from '@holdfast/foundation';
import type { AddressSet, AddressesChanged, ResolveOptions } from '../network.ts';
import type { IllReason, NodeState } from './nodes/node-state.ts';

/** One of several servers that can take the same calls. */
export interface RouteNode {
  /** Unique in its balancer, such as `10.0.0.7:8080`; two processes agree on a key's node by it. */
  readonly id: string;
  /** Its share against the others', a whole number from 1 to 100. Default 1. */
  readonly weight?: number;
  /** Where it is, such as a zone; see {@link BalancerOptions.localities}. */
  readonly locality?: string;
}

/** How a node is chosen for a call without a key. All take the weights into account. */
export type BalancerStrategy =
  /** By the key of the call; a call without one goes as by `power-of-two`. */
  | 'consistent-hash'
  /** The node with the fewest calls in flight for its weight. */
  | 'least-connections'
  /** Of two random nodes the one with the smaller product of calls in flight and latency. */
  | 'power-of-two'
  | 'round-robin';

/** What a call says about its node. `neutral` says nothing, as does an answer 429 or an abort. */
export type NodeOutcome = 'success' | 'failure' | 'neutral';

/** What a call came to, for a classifier. */
export type CallEnd =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly error: unknown };

/** Options of one pick. */
export interface PickOptions {
  /** Calls with one key go to one node, unless it has more than its bounded share of the calls in flight. */
  readonly key?: string;
  /** As `key`, however many calls the node has: for sessions that are held in the node. */
  readonly sessionId?: string;
  /** Ids of nodes that are not wanted, such as those that have failed this call. */
  readonly exclude?: readonly string[];
  /** The locality of the caller: its nodes come first. */
  readonly locality?: string;
  /** Whether the call may be the one that finds out if an ejected node answers again. Default true. */
  readonly mayProbe?: boolean;
}

/** The right to make one call to a node; the holder settles it once. */
export interface RouteLease<N extends RouteNode = RouteNode> {
  readonly node: N;
  /**
   * Only the first call counts.
   * @param latencyMs default: the time since the pick
   */
  settle(outcome: NodeOutcome, latencyMs?: number): void;
}

/** What the work of a call is told. */
export interface RunContext {
  /** Aborts with the deadline, the caller's signal, or when another attempt has answered. */
  readonly signal: AbortSignal;
  /** From 1. */
  readonly attempt: number;
}

/** Options of one call through a balancer. */
export interface RunOptions extends Omit<PickOptions, 'exclude' | 'mayProbe'> {
  /** Ends the call and its attempts; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Whether the call may reach two nodes. Without it, another node is tried only when nothing was sent to the first.
   * Default false.
   */
  readonly idempotent?: boolean;
  /** The time for all attempts. Default: that of the balancer. */
  readonly timeoutMs?: number;
  /** The time for one attempt. Default: that of the balancer. */
  readonly attemptTimeoutMs?: number;
}

/** Asks a node whether it can take calls: resolves, or resolves with `false` or rejects when it cannot. */
export type CheckHealth<N extends RouteNode> = (node: N, signal: AbortSignal) => unknown;

/** How nodes are checked beside the calls. All times in milliseconds. */
export interface HealthCheckOptions<N extends RouteNode = RouteNode> {
  /** Resolves when the node is well, rejects when it is not. */
  readonly check: CheckHealth<N>;
  /** Between the checks of one node; jittered by 20 %. Default 5 000. */
  readonly intervalMs?: number;
  /** Default 1 000. */
  readonly timeoutMs?: number;
  /** Failed checks in a row that eject. Default 2. */
  readonly unhealthyThreshold?: number;
  /** Successful checks in a row that let an ejected node return. Default 2. */
  readonly healthyThreshold?: number;
  /** Checks at the same time. Default 8. */
  readonly maxConcurrent?: number;
}

/** When a node is ejected for what its answers show, and how it returns. */
export interface OutlierOptions {
  /** Failures in a row. Default 5. */
  readonly consecutiveFailures?: number;
  /** The answers of this time and as much before it are judged. Default 5 000. */
  readonly windowMs?: number;
  /** The fewest answers that are judged. Default 5. */
  readonly minAnswers?: number;
  /** The share of failures, from 0.01 to 1. Default 0.5. */
  readonly errorShare?: number;
  /** The node's median latency over the median of the others'. Default 3; 0: never ejected for it. */
  readonly latencyFactor?: number;
  /** A node is never slow by less than this. Default 10. */
  readonly minLatencyGapMs?: number;
  /** How long an ejected node waits for its probe; doubles with each ejection, jittered by 20 %. Default 5 000. */
  readonly ejectionMs?: number;
  /** Default 60 000. */
  readonly maxEjectionMs?: number;
  /** A probe without an answer counts as failed. Default 10 000. */
  readonly probeTimeoutMs?: number;
}

/** Options of `createBalancer`. All times in milliseconds. */
export interface BalancerOptions<N extends RouteNode = RouteNode> {
  /** For errors, events and stats. Default `balancer`. */
  readonly name?: string;
  /** Up to 5 000 with distinct ids. May be empty: nodes can be added later. */
  readonly nodes: readonly N[];
  /** Default `power-of-two`. */
  readonly strategy?: BalancerStrategy;
  /** A node may hold this factor of its share of the calls in flight before keys go elsewhere. Default 1.25. */
  readonly boundedLoad?: number;
  /** From the nearest to the farthest; nodes of other localities come last. Default: all are equally near. */
  readonly localities?: readonly string[];
  /** Below this share of healthy nodes a locality gives calls to the next. Default 0.7. */
  readonly spillShare?: number;
  /**
   * If at most this share is healthy, calls go to all nodes; of up to three nodes only when the last one fails too.
   * Default 0.5; 0: never.
   */
  readonly panicShare?: number;
  /** `false`: no node is ejected for its answers. */
  readonly outlier?: OutlierOptions | false;
  /** Checks the nodes beside the calls. Default: only calls tell how a node is. */
  readonly healthCheck?: HealthCheckOptions<N>;
  /** How long a returned node takes to have its whole share again. Default 10 000; 0: at once. */
  readonly slowStartMs?: number;
  /** How fast an old latency is forgotten by `power-of-two`. Default 10 000. */
  readonly latencyDecayMs?: number;
  /** Attempts of an idempotent call, each on another node. Default 3. */
  readonly maxAttempts?: number;
  /** Of one call of `run`, for all attempts. Default 30 000. */
  readonly timeoutMs?: number;
  /** Default 10 000. */
  readonly attemptTimeoutMs?: number;
  /**
   * When an idempotent call that has no answer is also sent to a second node: a time, or `auto` for a latency that is
   * unusual for these nodes. At most one call in ten is. Default `auto`.
   */
  readonly hedgeAfterMs?: number | 'auto' | false;
  /**
   * What a call says about its node. Default: statuses of 500 and more and errors of the node are failures; 429, aborts and
   * errors of the caller's own code are neutral; every other answer is a success.
   */
  readonly classify?: (end: CallEnd) => NodeOutcome;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

/** Where the addresses of a name are from, such as a `Resolver`. */
export interface AddressSource {
  resolve(hostname: string, options?: ResolveOptions): Promise<AddressSet>;
  /** Keeps the answer current until the returned function is called. */
  watch?(hostname: string): () => void;
  on(kind: 'changed', listener: (change: AddressesChanged) => void): () => void;
}

/** Which name's addresses a balancer follows. */
export interface FollowOptions<N extends RouteNode> {
  /** The name whose addresses are the nodes. */
  readonly hostname: string;
  /** The node of an address. */
  readonly nodeOf: (address: string) => N;
  /** Ends the following; the nodes stay. */
  readonly signal?: AbortSignal;
}

/** A change of the state of a node. */
export interface NodeStateChange {
  readonly balancer: string;
  readonly node: string;
  readonly from: NodeState['kind'];
  readonly to: NodeState['kind'];
  /** Present when the node is ejected. */
  readonly reason?: IllReason;
  readonly atEpochMs: number;
}

/** Also published on `node:diagnostics_channel` as `holdfast:network:balancer:<kind>`. */
export interface BalancerEvents {
  stateChanged: NodeStateChange;
  /** Calls go to all nodes from now on, or no longer. */
  panic: { readonly balancer: string; readonly isActive: boolean; readonly atEpochMs: number };
  nodesChanged: {
    readonly balancer: string;
    readonly added: readonly string[];
    readonly removed: readonly string[];
  };
}

export const balancerEventKinds: EventKinds<BalancerEvents> = {
  stateChanged: true,
  panic: true,
  nodesChanged: true,
};

/** Numbers of one node. */
export interface NodeStats {
  readonly id: string;
  readonly state: NodeState['kind'];
  readonly reason?: IllReason;
  readonly locality?: string;
  readonly weight: number;
  /** The share of its weight that it has now: below 1 while warming. */
  readonly warmth: number;
  readonly inFlight: number;
  readonly picks: number;
  readonly successes: number;
  readonly failures: number;
  readonly ejections: number;
  /** Recent peaks weigh more. */
  readonly latencyMs: number;
}

/** Numbers of a balancer and its nodes, read at any time. */
export interface BalancerStats {
  readonly name: string;
  readonly strategy: BalancerStrategy;
  /** Whether calls go to all nodes of a locality, because too few of them are healthy. */
  readonly isPanicking: boolean;
  readonly healthyNodes: number;
  readonly inFlight: number;
  readonly picks: number;
  /** Picks while panicking. */
  readonly panicPicks: number;
  /** Picks of a locality that is not the nearest. */
  readonly spilledPicks: number;
  readonly ejections: number;
  readonly retries: number;
  readonly hedges: number;
  readonly nodes: readonly NodeStats[];
}

/**
 * Spreads calls over nodes, avoids those that fail or are slow, and lets them return when they answer.
 *
 * - Every decision is synchronous; only active health checks have a timer, which does not hold the process.
 * - A node that was ejected is picked only as a probe, or while calls go to all nodes.
 * - Bounds: nodes, attempts, hedges, checks, and the time of every call.
 */
export interface Balancer<N extends RouteNode = RouteNode> {
  readonly name: string;
  /** @throws NoHealthyInstancesError, NetworkClosedError, InvalidOptionError */
  pick(options?: PickOptions): RouteLease<N>;
  /**
   * Calls `call` with a node; when it fails there, with another one.
   * @throws the error of `call` if another node was not tried, else NodesFailedError; RouteTimeoutError;
   * NoHealthyInstancesError; NetworkClosedError; the signal's own reason
   */
  run<T>(
    call: (node: N, context: RunContext) => T | PromiseLike<T>,
    options?: RunOptions,
  ): Promise<T>;
  /** Replaces the nodes; what is known of those that stay is kept. Those that leave finish their calls. */
  setNodes(nodes: readonly N[]): void;
  /** Makes the addresses of a name the nodes, now and whenever they change; the returned function ends it. */
  follow(source: AddressSource, options: FollowOptions<N>): Promise<() => void>;
  /** The node gets no new calls; resolves when it has none in flight. `signal` ends the wait, not the draining. */
  drain(id: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** A drained node takes calls again, with slow start. */
  resume(id: string): void;
  readonly on: Subscribe<BalancerEvents>;
  getStats(): BalancerStats;
  /** Ends checks, waits and subscriptions; running calls go on. Calling it twice does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
