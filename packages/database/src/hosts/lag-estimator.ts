const MAX_SAMPLES = 1_000;

/**
 * Records the position of the primary's log over time, which gives an upper bound of a standby's lag. The standby
 * itself cannot tell: with replay paused or its stream cut it looks healthy.
 */
export class LagEstimator {
  readonly #samples: { readonly probedMs: number; readonly position: bigint }[] = [];

  /** @param probedMs the time before the probe: everything committed by then is within `position`. */
  record(probedMs: number, position: bigint): void {
    this.#samples.push({ probedMs, position });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  /** A new timeline has begun. */
  reset(): void {
    this.#samples.length = 0;
  }

  /** The upper bound of the lag of a standby at this position; `Infinity` if unknown. */
  lagMs(position: bigint, nowMs: number): number {
    const reached = this.#samples.findLast((sample) => sample.position <= position);
    return reached === undefined ? Infinity : nowMs - reached.probedMs;
  }

  /** The position that a standby has reached if it is at most so far behind; `undefined` if unknown. */
  positionWithin(maxLagMs: number, nowMs: number): bigint | undefined {
    return this.#samples.find(({ probedMs }) => nowMs - probedMs <= maxLagMs)?.position;
  }
}
