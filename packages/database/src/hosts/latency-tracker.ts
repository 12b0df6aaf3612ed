/** Share of a new measurement in the average. */
const WEIGHT = 0.2;
/** So much faster another host has to be to be preferred to the one in use. */
const HYSTERESIS = 0.8;
const FIRST_EJECTION_MS = 1_000;
const LONGEST_EJECTION_MS = 30_000;

/** How near a host is, and whether it has been failing reads. */
export class Nearness {
  #averageMs: number | undefined;
  #failures = 0;
  #ejectedUntilMs = -Infinity;

  /** Smoothed; `undefined` before the first answer. */
  get latencyMs(): number | undefined {
    return this.#averageMs;
  }

  answered(tookMs: number): void {
    const before = this.#averageMs ?? tookMs;
    this.#averageMs = before + WEIGHT * (tookMs - before);
  }

  served(): void {
    this.#failures = 0;
  }

  /** It is left out for a while, longer each time in a row. */
  failed(nowMs: number): void {
    const ejectionMs = Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#ejectedUntilMs = nowMs + ejectionMs;
  }

  isEjected(nowMs: number): boolean {
    return nowMs < this.#ejectedUntilMs;
  }
}

/** The nearest host; the one in use stays unless another is nearer by a fifth. */
export function nearest<Host extends { readonly nearness: Nearness }>(
  hosts: readonly Host[],
  inUse: Host | undefined,
): Host | undefined {
  const distance = (host: Host): number => host.nearness.latencyMs ?? Infinity;
  let best = inUse !== undefined && hosts.includes(inUse) ? inUse : hosts[0];
  for (const host of hosts) {
    if (best === undefined) return host;
    const margin = best === inUse ? HYSTERESIS : 1;
    if (distance(host) < distance(best) * margin) best = host;
  }
  return best;
}
