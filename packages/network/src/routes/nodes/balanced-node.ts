import { hashKey } from './key-hash.ts';
import { AnswerWindow } from './answer-window.ts';
import { type NodeState, healthyState } from './node-state.ts';

/** The factor by which a failure makes a node dearer, so that load goes elsewhere at once. */
const FAILURE_FACTOR = 4;
const MAX_COST_MS = 3_600_000;

/** A node with what is known of it. Plain state: no time of its own, no promises. */
export class BalancedNode<N> {
  // What each pick reads and writes stands together, so that it is in memory together.
  inFlight = 0;
  picks = 0;
  /** Whether calls go to it: it is usable, or its locality panics. Set by the tier. */
  isActive = false;
  /** Counts the calls in flight of its locality; absent once it is removed. */
  tier: { loadChanged(node: BalancedNode<N>, change: 1 | -1): void } | undefined;
  /** As given last. */
  node: N;
  /** Its weight and warmth, over the largest of the active nodes of its tier. */
  share = 1;
  /** Its place in the line of least connections. */
  level = 0;
  position = 0;
  /** For round robin: what it has over from the last turn. */
  credit = 0;
  readonly id: string;
  readonly hash: number;
  weight = 1;
  locality: string | undefined;
  readonly window: AnswerWindow;
  state: NodeState = healthyState;
  /** When the state was entered. */
  sinceMs = 0;
  /** From 0 to 1: its part of its weight while it warms. */
  warmth = 1;
  successes = 0;
  failures = 0;
  consecutiveFailures = 0;
  ejections = 0;
  /** Ejections in a row: decides how long the next one lasts. */
  relapses = 0;
  /** The call that probes it, until it is settled or `probeUntilMs` has come. */
  probe: object | undefined = undefined;
  probeUntilMs = 0;
  isRemoved = false;
  /** Called when it has no more calls in flight. */
  readonly onIdle: Set<() => void> = new Set();
  #latencyMs = 0;
  #observedMs = 0;

  constructor(node: N, id: string, windowMs: number) {
    this.node = node;
    this.id = id;
    this.hash = hashKey(id);
    this.window = new AnswerWindow(windowMs);
  }

  /** Takes calls outside of panic. */
  get isUsable(): boolean {
    const { kind } = this.state;
    return kind === 'healthy' || kind === 'suspect' || kind === 'warming';
  }

  /** Answers, as far as is known: not the last node that is only kept because there is no other. */
  get isWell(): boolean {
    return this.isUsable && !(this.state.kind === 'suspect' && this.state.isKept);
  }

  /** Waits for a call that finds out whether it answers. */
  get awaitsProbe(): boolean {
    return this.state.kind === 'probing' && this.probe === undefined;
  }

  /**
   * The expected time until a further call is answered: the calls in flight by the peak of the latency, which is
   * forgotten as time passes.
   */
  costMs(nowMs: number, decayMs: number, typicalMs: number): number {
    return (this.inFlight / this.share + 1) * this.#expectedMs(nowMs, decayMs, typicalMs);
  }

  latencyMs(nowMs: number, decayMs: number): number {
    const exponent = (this.#observedMs - nowMs) / decayMs;
    // A power series is as exact for a short time, in a fraction of the time.
    const kept = exponent > -0.1 ? 1 + exponent + (exponent * exponent) / 2 : Math.exp(exponent);
    return this.#latencyMs * kept;
  }

  /** Never so short that all calls would go to a node that has had none for long. */
  #expectedMs(nowMs: number, decayMs: number, typicalMs: number): number {
    if (this.#latencyMs === 0) return typicalMs;
    const recentMs = this.latencyMs(nowMs, decayMs);
    return recentMs > typicalMs / 8 ? recentMs : typicalMs / 8;
  }

  /** @param change 1 for a call that begins, -1 for one that ends */
  changeLoad(change: 1 | -1): void {
    this.inFlight += change;
    this.tier?.loadChanged(this, change);
    if (this.inFlight > 0) return;
    for (const listener of this.onIdle) listener();
  }

  /** A new peak counts at once; lower latencies count by and by. */
  observeLatency(nowMs: number, latencyMs: number, decayMs: number): void {
    const weight = Math.exp((this.#observedMs - nowMs) / decayMs);
    // A burst of answers in one instant still moves the mean.
    const kept = Math.min(weight, 0.9);
    this.#latencyMs =
      latencyMs > this.#latencyMs ? latencyMs : latencyMs + (this.#latencyMs - latencyMs) * kept;
    this.#observedMs = nowMs;
  }

  /** A quick refusal is not a short latency: each failure makes the node dearer. */
  observeFailure(nowMs: number, latencyMs: number, typicalMs: number): void {
    const raisedMs = Math.max(latencyMs, this.#latencyMs, typicalMs) * FAILURE_FACTOR;
    this.#latencyMs = Math.min(MAX_COST_MS, raisedMs);
    this.#observedMs = nowMs;
  }

  /** It answers again: what its failures had added is forgotten. */
  forgetLatency(): void {
    this.#latencyMs = 0;
  }
}
