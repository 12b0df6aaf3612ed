import type { OutlierOptions } from '../balancer.ts';
import type { BalancedNode } from '../nodes/balanced-node.ts';
import type { IllReason } from '../nodes/node-state.ts';

/** How often the latencies of the nodes are compared, while there are answers. */
const SWEEP_MS = 1_000;

interface SlowNode<N> {
  readonly node: BalancedNode<N>;
  readonly reason: IllReason;
}

/** Judges nodes by their answers: each by its own failures, and by its latency against that of the others. */
export class OutlierDetector<N> {
  readonly #options: Readonly<Required<OutlierOptions>>;
  #nextSweepMs = Infinity;

  constructor(options: Readonly<Required<OutlierOptions>>) {
    this.#options = options;
  }

  get nextSweepMs(): number {
    return this.#nextSweepMs;
  }

  /** After an answer. */
  scheduleSweep(nowMs: number): number {
    if (this.#nextSweepMs === Infinity) this.#nextSweepMs = nowMs + SWEEP_MS;
    return this.#nextSweepMs;
  }

  /** After a failure. */
  reasonToEject(node: BalancedNode<N>, nowMs: number): IllReason | undefined {
    const { consecutiveFailures, minAnswers, errorShare } = this.#options;
    if (node.consecutiveFailures >= consecutiveFailures) return 'consecutive-failures';
    const answers = node.window.answers(nowMs);
    const isIll = answers >= minAnswers && node.window.failures(nowMs) >= errorShare * answers;
    return isIll ? 'error-share' : undefined;
  }

  /** The nodes that are much slower than the median of the others. */
  slowNodes(nodes: Iterable<BalancedNode<N>>, nowMs: number): readonly SlowNode<N>[] {
    const { latencyFactor, minAnswers, minLatencyGapMs } = this.#options;
    if (nowMs < this.#nextSweepMs) return [];
    this.#nextSweepMs = Infinity;
    if (latencyFactor === 0) return [];
    const measured: { node: BalancedNode<N>; medianMs: number }[] = [];
    for (const node of nodes) {
      if (!node.isUsable) continue;
      const medianMs = node.window.medianMs(nowMs, minAnswers);
      if (medianMs !== undefined) measured.push({ node, medianMs });
    }
    measured.sort((left, right) => left.medianMs - right.medianMs);
    return measured.flatMap(({ node, medianMs }, at) => {
      const othersMs = medianWithout(measured, at);
      if (othersMs === undefined || medianMs < othersMs + minLatencyGapMs) return [];
      return medianMs > latencyFactor * othersMs ? [{ node, reason: 'latency' as const }] : [];
    });
  }
}

/** The median of sorted values without one of them. */
function medianWithout(
  sorted: readonly { readonly medianMs: number }[],
  without: number,
): number | undefined {
  const others = sorted.length - 1;
  const at = (index: number): number => sorted[index >= without ? index + 1 : index]?.medianMs ?? 0;
  if (others < 1) return undefined;
  return (at(Math.floor((others - 1) / 2)) + at(Math.floor(others / 2))) / 2;
}
