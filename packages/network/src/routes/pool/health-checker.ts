import { type Clock, type Random, type Timer, abortable, withDeadline } from '@holdfast/foundation';
import type { RouteNode } from '../balancer.ts';
import type { ResolvedHealthCheck } from '../balancer-options.ts';
import { RouteTimeoutError } from '../errors.ts';
import type { BalancedNode } from '../nodes/balanced-node.ts';
import type { NodePool } from './node-pool.ts';

const JITTER = 0.2;

interface HealthCheckerDeps<N extends RouteNode> {
  readonly pool: NodePool<N>;
  readonly clock: Clock;
  readonly random: Random;
}

interface Checked {
  dueMs: number;
  /** In a row: positive successes, negative failures. */
  run: number;
  abort: AbortController | undefined;
}

/** Checks each node at its interval, never more than `maxConcurrent` at a time; its timer does not hold the process. */
export class HealthChecker<N extends RouteNode> {
  readonly #rules: ResolvedHealthCheck<N>;
  readonly #deps: HealthCheckerDeps<N>;
  readonly #checks = new Map<BalancedNode<N>, Checked>();
  #timer: Timer | undefined;
  #running = 0;
  #isClosed = false;

  constructor(rules: ResolvedHealthCheck<N>, deps: HealthCheckerDeps<N>) {
    this.#rules = rules;
    this.#deps = deps;
    this.nodesChanged();
  }

  /** New nodes are checked soon; checks of those that are gone are aborted. */
  nodesChanged(): void {
    const nowMs = this.#deps.clock.now();
    for (const [node, checked] of this.#checks) {
      if (!node.isRemoved) continue;
      checked.abort?.abort(new Error(`node ${node.id} was removed`));
      this.#checks.delete(node);
    }
    for (const node of this.#deps.pool.nodes) {
      if (this.#checks.has(node)) continue;
      const dueMs = nowMs + this.#deps.random() * this.#rules.intervalMs * JITTER;
      this.#checks.set(node, { dueMs, run: 0, abort: undefined });
    }
    this.#arm();
  }

  close(reason: unknown): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const { abort } of this.#checks.values()) abort?.abort(reason);
    this.#checks.clear();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isClosed || this.#running >= this.#rules.maxConcurrent) return;
    let dueMs = Infinity;
    for (const checked of this.#checks.values()) {
      if (checked.abort === undefined) dueMs = Math.min(dueMs, checked.dueMs);
    }
    if (dueMs === Infinity) return;
    const { clock } = this.#deps;
    this.#timer = clock.schedule(Math.max(0, dueMs - clock.now()), () => this.#runDue(), {
      holdsProcess: false,
    });
  }

  #runDue(): void {
    const nowMs = this.#deps.clock.now();
    const due = [...this.#checks]
      .filter(([, { dueMs, abort }]) => abort === undefined && dueMs <= nowMs)
      .toSorted(([, left], [, right]) => left.dueMs - right.dueMs)
      .slice(0, this.#rules.maxConcurrent - this.#running);
    for (const [node, checked] of due) void this.#check(node, checked);
    this.#arm();
  }

  async #check(node: BalancedNode<N>, checked: Checked): Promise<void> {
    const { clock, random } = this.#deps;
    const { intervalMs } = this.#rules;
    checked.abort = new AbortController();
    this.#running += 1;
    const isHealthy = await this.#ask(node, checked.abort.signal);
    this.#running -= 1;
    checked.abort = undefined;
    if (this.#isClosed) return;
    checked.dueMs = clock.now() + intervalMs * (1 - JITTER + 2 * JITTER * random());
    if (!node.isRemoved) this.#count(node, checked, isHealthy);
    this.#arm();
  }

  /** Never rejects. */
  async #ask(node: BalancedNode<N>, signal: AbortSignal): Promise<boolean> {
    const { timeoutMs } = this.#rules;
    const late = (): Error =>
      new RouteTimeoutError(`the health check of node ${node.id}`, timeoutMs);
    try {
      const answer = await withDeadline(this.#deps.clock, timeoutMs, signal, late, (limit) =>
        abortable(
          new Promise((resolve) => {
            resolve(this.#rules.check(node.node, limit));
          }),
          limit,
        ),
      );
      return answer !== false;
    } catch {
      return false;
    }
  }

  #count(node: BalancedNode<N>, checked: Checked, isHealthy: boolean): void {
    const { pool, clock } = this.#deps;
    const { healthyThreshold, unhealthyThreshold } = this.#rules;
    const nowMs = clock.now();
    checked.run = isHealthy ? Math.max(0, checked.run) + 1 : Math.min(0, checked.run) - 1;
    pool.advance(nowMs);
    const { state } = node;
    if (checked.run <= -unhealthyThreshold) {
      pool.checkFailed(node, nowMs);
    } else if (checked.run >= healthyThreshold) {
      // One that was ejected for its answers first waits out its time.
      const mayReturn =
        state.kind === 'probing' || (state.kind === 'ejected' && state.reason === 'health-check');
      const isKept = state.kind === 'suspect' && state.isKept;
      if (mayReturn || isKept) pool.answered(node, nowMs);
    }
  }
}
