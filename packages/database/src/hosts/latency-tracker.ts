/** The weight of a new measurement in the average. */
const WEIGHT = 0.2;
/** Another host is preferred to the one in use below this fraction of its latency. */
const HYSTERESIS = 0.8;
const FIRST_EJECTION_MS = 1_000;
const LONGEST_EJECTION_MS = 30_000;

/** Tracks the latency of a host, and ejects it for a while after failed reads. */
export class LatencyTracker {
  #averageMs: number | undefined;
  #failures = 0;
  #ejectedUntilMs = -Infinity;

  /** Smoothed; `undefined` before the first answer. */
  get latencyMs(): number | undefined {
    return this.#averageMs;
  }

  record(tookMs: number): void {
    const before = this.#averageMs ?? tookMs;
    this.#averageMs = before + WEIGHT * (tookMs - before);
  }

  served(): void {
    this.#failures = 0;
  }

  /** Ejects the host from selection, longer after each failure in a row. */
  failed(nowMs: number): void {
    const ejectionMs = Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#ejectedUntilMs = nowMs + ejectionMs;
  }

  isEjected(nowMs: number): boolean {
    return nowMs < this.#ejectedUntilMs;
  }
}

/** The host of the lowest latency; the one in use stays unless another is lower by a fifth. */
export function lowestLatency<Host extends { readonly latency: LatencyTracker }>(
  hosts: readonly Host[],
  inUse: Host | undefined,
): Host | undefined {
  const latencyOf = (host: Host): number => host.latency.latencyMs ?? Infinity;
  let best = inUse !== undefined && hosts.includes(inUse) ? inUse : hosts[0];
  for (const host of hosts) {
    if (best === undefined) return host;
    const margin = best === inUse ? HYSTERESIS : 1;
    if (latencyOf(host) < latencyOf(best) * margin) best = host;
  }
  return best;
}
